// The roles that ask models.

import { joinKey, valueAt } from "../../recipe/key-path.ts";
import type { JsonObject } from "../../task/json.ts";

/** The roles of a resolved recipe whose agent is llm. */
export function llmRolesOf({ roles = {} }: JsonObject): string[] {
  return Object.keys(roles as JsonObject).filter(
    (name) => valueAt(roles, `${joinKey("", name)}.agent`) === "llm",
  );
}
