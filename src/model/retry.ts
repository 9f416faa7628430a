// The one place that loops: which errors of a model may be tried again, how often and after how long.

import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, MatrixError } from "../error.ts";

/** Full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015): a wait drawn from [0, base · 2^tries], capped. */
const BACKOFF_BASE_MS = 250;
const BACKOFF_MAX_MS = 30_000;
/** A server that asks for longer than this is as good as down. */
const RETRY_AFTER_MAX_MS = 120_000;

const RETRIED: ReadonlySet<ErrorCode> = new Set([
  "model_unavailable",
  "model_overloaded",
  "model_failed",
  "model_timeout",
  "model_bad_answer",
]);

export interface RetryOptions {
  /** Tries after the first. */
  readonly retries: number;
  readonly signal: AbortSignal;
  readonly random: () => number;
}

/** Calls with the number of the try, from 0, until it succeeds. Fails with the last error. */
export async function retry<T>(attempt: (tries: number) => Promise<T>, { retries, signal, random }: RetryOptions): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt(tries);
    } catch (thrown) {
      signal.throwIfAborted();
      if (tries >= retries || !(thrown instanceof MatrixError) || !RETRIED.has(thrown.code)) throw thrown;
      await pause(waitMs(thrown, tries, random), signal);
    }
  }
}

function waitMs({ retryAfterMs }: MatrixError, tries: number, random: () => number): number {
  const backoff = random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** tries);
  // Jitter on top of what was asked for, so that those who were sent away together do not come back together.
  return retryAfterMs === undefined ? backoff : Math.min(retryAfterMs, RETRY_AFTER_MAX_MS) + backoff;
}

/** Waits; fails with the signal's own reason when it aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0) return;
  try {
    await sleep(ms, undefined, { signal });
  } catch (cause) {
    throw signal.aborted ? signal.reason : cause;
  }
}
