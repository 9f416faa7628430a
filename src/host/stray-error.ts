// Errors of user code that nobody awaits: a promise that was let go, a throw in a timer. Where the runtime says in whose step
// they began, that step fails with them; otherwise they are logged. Never do they end the host. Our own do: they are bugs.

import { AsyncLocalStorage } from "node:async_hooks";
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "../error.ts";
import type { Log } from "../telemetry/log.ts";

/** Whoever runs user code and can still fail because of it. */
export interface Owner {
  readonly role: string;
  readonly task: string;
  fail(thrown: unknown): void;
}

const owners = new AsyncLocalStorage<Owner>();

/** Runs user code; what it throws later, outside of what it returned, comes back to its owner. */
export function runOwned<T>(owner: Owner, run: () => T): T {
  return owners.run(owner, run);
}

/** Whose code runs now, also after it awaited something; undefined outside of user code. */
export function currentOwner(): Owner | undefined {
  return owners.getStore();
}

/** Until disposed. Bun forgets the owner of a promise that was let go, Deno that of a timer. */
export function catchStrayErrors(log: Log): () => void {
  const onError = (thrown: unknown): void => {
    const owner = owners.getStore();
    if (owner === undefined && !isFromUserCode(thrown)) throw thrown;
    const whose = owner === undefined ? {} : { role: owner.role, task: owner.task };
    log.write("error", `user code let an error go: ${messageOf(thrown)}`, {
      ...whose,
      stack: (thrown as Error)?.stack ?? "",
    });
    owner?.fail(thrown);
  };
  process.on("uncaughtException", onError);
  process.on("unhandledRejection", onError);
  return () => {
    process.off("uncaughtException", onError);
    process.off("unhandledRejection", onError);
  };
}

/** In a compiled binary this is a place that no user's file can have. */
const OURS = dirname(dirname(fileURLToPath(import.meta.url)));

function isFromUserCode(thrown: unknown): boolean {
  // What is no error has no stack; none of ours is thrown.
  if (!(thrown instanceof Error)) return true;
  const places = (thrown.stack ?? "").match(/(?:file:\/\/)?\/[^\s()]+:\d+:\d+/g) ?? [];
  return places
    .map((place) => place.replace(/^file:\/\//, ""))
    .some((place) => !place.startsWith(`${OURS}${sep}`) && !place.includes("/node_modules/"));
}
