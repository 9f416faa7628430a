// Stray errors of user code: a rejected promise that no code awaits, or a throw in a timer. Where
// the runtime tells in which step the error began, that step fails with it; otherwise the error is
// logged. A stray error of user code never ends the host. An error of this program does: it is a
// bug.

import { AsyncLocalStorage } from "node:async_hooks";
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "../error.ts";
import type { Log } from "../telemetry/log.ts";

/** An error that this program throws for something that user code did. */
export class UserError extends Error {}

/** A step whose user code runs, and which can still fail. */
export interface Owner {
  readonly role: string;
  readonly task: string;
  fail(thrown: unknown): void;
}

const owners = new AsyncLocalStorage<Owner>();

/** Runs user code. An error that it throws later, outside of its answer, fails the owner. */
export function runOwned<T>(owner: Owner, run: () => T): T {
  return owners.run(owner, run);
}

/** The owner of the user code that runs now, also after an await; undefined outside of it. */
export function currentOwner(): Owner | undefined {
  return owners.getStore();
}

/**
 * Catches stray errors until the returned function is called. Bun loses the owner of a promise that
 * no code awaits, and Deno loses that of a timer.
 */
export function catchStrayErrors(log: Log): () => void {
  const onError = (thrown: unknown): void => {
    const owner = owners.getStore();
    if (owner === undefined && !isFromUserCode(thrown)) throw thrown;
    const whose = owner === undefined ? {} : { role: owner.role, task: owner.task };
    log.write("error", `user code let an error escape: ${messageOf(thrown)}`, {
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

/** Folder of this program's source. In a compiled binary no user's file can lie there. */
const OURS = dirname(dirname(fileURLToPath(import.meta.url)));

function isFromUserCode(thrown: unknown): boolean {
  // A thrown value that is not an Error has no stack. This program throws only Errors.
  if (!(thrown instanceof Error) || thrown instanceof UserError) return true;
  return placesIn(thrown.stack ?? "").some(
    (place) => !place.startsWith(`${OURS}${sep}`) && !place.includes("/node_modules/"),
  );
}

/** Absolute paths with line and column, such as `/app/x.ts:3:7`. A message has any length. */
function placesIn(stack: string): string[] {
  return stack
    .split(/[\s()]+/)
    .filter((word) => word.includes("/") && /:\d{1,9}:\d{1,9}$/.test(word.slice(-PLACE_END_CHARS)))
    .map((word) => word.slice(word.indexOf("/")).replace(/^\/{2}(?=\/)/, ""));
}

/** Most characters of `:line:column`. */
const PLACE_END_CHARS = 20;
