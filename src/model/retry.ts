// The one place that loops: which errors of a model may be tried again, how often, after how long,
// and until when.

import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, MatrixError } from "../error.ts";
import type { ChatAnswer, ChatRequest } from "./contract.ts";

const BACKOFF_BASE_MS = 250;
const BACKOFF_MAX_MS = 30_000;

/** Whoever is away or full is waited for: a server that starts again fails no row. */
const WAITED_FOR: ReadonlySet<ErrorCode> = new Set(["model_unavailable", "model_overloaded"]);
/** What the request itself may be the cause of is tried again a few times. */
const COUNTED: ReadonlySet<ErrorCode> = new Set([
  "model_lost",
  "model_failed",
  "model_timeout",
  "model_bad_answer",
]);

/** One try of a request. */
export interface Trying {
  /** From 0. */
  readonly tries: number;
  /** When nothing is waited for any more, by performance.now(). */
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Awaited just before the request is sent. */
  readonly permit: () => Promise<void>;
}

/** Fails with a MatrixError. */
export type Try = (request: ChatRequest, trying: Trying) => Promise<ChatAnswer>;

export interface RetryOptions {
  /** Tries after the first. */
  readonly retries: number;
  /** After which no try begins. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly random: () => number;
}

/** Calls with the number of the try, from 0, until it succeeds. Fails with the last error. */
export async function retry<T>(
  attempt: (tries: number, deadline: number) => Promise<T>,
  { retries, deadlineMs, signal, random }: RetryOptions,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  let counted = 0;
  for (let tries = 0; ; tries++) {
    try {
      return await attempt(tries, deadline);
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof MatrixError)) throw thrown;
      const mayRetry =
        WAITED_FOR.has(thrown.code) || (COUNTED.has(thrown.code) && counted++ < retries);
      const waitMs = thrown.retryNow ? 0 : (thrown.retryAfterMs ?? 0) + backoffMs(tries, random);
      if (!mayRetry || performance.now() + waitMs >= deadline) throw thrown;
      await pause(waitMs, signal);
    }
  }
}

/**
 * Grows with the tries; half of it is drawn, so that those who failed together do not come back
 * together.
 */
export function backoffMs(tries: number, random: () => number): number {
  return (Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** tries) * (1 + random())) / 2;
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
