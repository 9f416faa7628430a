// The packages that user modules import without installing them. Without this, Bun would look for
// them beside the module and then in the registry, where "matrix" is an unrelated package.

import { importMessages } from "../orchestrator/graph/messages.ts";
import { provideModule, provideSdk } from "../platform.ts";

let provided: Promise<void> | null = null;

/** Must have resolved before the first user module is loaded. Further calls change nothing. */
export function provideUserImports(): Promise<void> {
  provided ??= provide();
  return provided;
}

async function provide(): Promise<void> {
  provideSdk(await import("../sdk.ts"));
  // This entry of the package leaves out what only Node.js needs.
  provideModule("@langchain/langgraph", () => import("@langchain/langgraph/web"));
  provideModule("@langchain/core/messages", importMessages);
}
