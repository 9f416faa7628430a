// The choice of failed steps that are tried again (roles.NAME.retries), and the pause before each
// try. A request to a model has its own retries (src/model/retry.ts). A task that lost its sandbox
// starts again from its row.

import { type ErrorCode, MatrixError } from "../error.ts";
import { waitOf } from "../model/endpoint/waits.ts";
import { backoffMs } from "../model/retry.ts";
import { createRandom, deriveSeed } from "../task/seed.ts";
import type { Step } from "./step.ts";

/** Errors of user code and of programs. A later try may go well. */
const RETRIED: ReadonlySet<ErrorCode> = new Set([
  "agent_failed",
  "agent_timeout",
  "sandbox_bad_answer",
]);

/**
 * Milliseconds until the step is tried again; null when it is not. An error that has `fatal: true`
 * ends the step at once. A pause that the error asks for (`retryAfterMs`, or a Retry-After header)
 * comes before the backoff.
 */
export function pauseBeforeRetry(step: Step, thrown: unknown): number | null {
  const { role, task, tries } = step;
  const origin = originOf(thrown);
  if (tries > role.retries || origin === null || isFatal(origin)) return null;
  const random = createRandom(deriveSeed(task.seed, "retry", role.name, tries));
  return (retryAfterMsOf(origin) ?? 0) + backoffMs(tries - 1, random);
}

/** The value that user code threw; null for an error that no further try can mend. */
function originOf(thrown: unknown): object | null {
  if (!(thrown instanceof MatrixError)) return Object(thrown) as object;
  if (!RETRIED.has(thrown.code)) return null;
  return Object(thrown.cause ?? thrown) as object;
}

function isFatal(origin: object): boolean {
  return "fatal" in origin && origin.fatal === true;
}

/** The pause that an error asks for, as errors of HTTP clients carry it. */
function retryAfterMsOf(origin: object): number | undefined {
  if ("retryAfterMs" in origin && typeof origin.retryAfterMs === "number")
    return Math.max(0, origin.retryAfterMs);
  const response = "response" in origin ? Object(origin.response) : {};
  for (const { headers } of [origin, response] as { readonly headers?: unknown }[]) {
    const given = headers instanceof Headers ? Object.fromEntries(headers) : Object(headers);
    const waitMs = waitOf(given as Record<string, string>, "agent_failed");
    if (waitMs !== undefined) return waitMs;
  }
  return undefined;
}
