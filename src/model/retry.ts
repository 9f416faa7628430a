// The one place that repeats a request: which errors of a model are tried again, how often, after
// how long, and until when.

import { type ErrorCode, MatrixError } from "../error.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import type { ChatAnswer, ChatRequest, OnRejected } from "./contract.ts";

const BACKOFF_BASE_MS = 250;
const BACKOFF_MAX_MS = 30_000;
/** No Retry-After is respected for longer than this. */
const RETRY_AFTER_MAX_MS = 120_000;
/** The largest share of a Retry-After that is added to it at random. */
const RETRY_AFTER_JITTER = 0.25;

/** Tried again until the deadline: a server that is down or full fails no row. */
const WAITED_FOR: ReadonlySet<ErrorCode> = new Set(["model_unavailable", "model_overloaded"]);
/** Tried again at most `retries` times, because the request itself may be the cause. */
const COUNTED: ReadonlySet<ErrorCode> = new Set([
  "model_lost",
  "model_failed",
  "model_timeout",
  "model_bad_answer",
]);

/** One try of a request. */
export interface Trying {
  /** The number of this try, from 0. */
  readonly tries: number;
  /** Time by performance.now() after which the try must not wait for a server. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Must be awaited just before the request is sent. */
  readonly permit: () => Promise<void>;
  readonly onRejected: OnRejected;
}

/** Fails with a MatrixError. */
export type Try = (request: ChatRequest, trying: Trying) => Promise<ChatAnswer>;

export interface RetryOptions {
  /** Tries after the first. */
  readonly retries: number;
  /** No try begins later than this many milliseconds after the first. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly clock?: Clock;
}

/**
 * Calls `attempt` with the number of the try, from 0, until it succeeds. Fails with the last error.
 */
export async function retry<T>(
  attempt: (tries: number, deadline: number) => Promise<T>,
  { retries, deadlineMs, signal, random, clock = SYSTEM_CLOCK }: RetryOptions,
): Promise<T> {
  const deadline = clock.now() + deadlineMs;
  let counted = 0;
  for (let tries = 0; ; tries++) {
    try {
      return await attempt(tries, deadline);
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof MatrixError)) throw thrown;
      const mayRetry =
        WAITED_FOR.has(thrown.code) || (COUNTED.has(thrown.code) && counted++ < retries);
      const waitMs = thrown.retryNow
        ? 0
        : Math.max(retryAfterMs(thrown, random) ?? 0, backoffMs(tries, random));
      if (!mayRetry || clock.now() + waitMs >= deadline) throw thrown;
      await pause(waitMs, signal, clock);
    }
  }
}

/**
 * Doubles with each try. Half of it is random, so that requests that failed together do not come
 * back together.
 */
export function backoffMs(tries: number, random: () => number): number {
  return (Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** tries) * (1 + random())) / 2;
}

/**
 * The wait that the server asked for, with some chance in it, so that requests that were sent away
 * together do not come back together. Undefined when it asked for none.
 */
export function retryAfterMs(
  { retryAfterMs: asked }: MatrixError,
  random: () => number,
): number | undefined {
  if (asked === undefined) return undefined;
  return Math.min(asked, RETRY_AFTER_MAX_MS) * (1 + RETRY_AFTER_JITTER * random());
}

/** Waits for `ms` milliseconds. Fails with the signal's own reason when it aborts. */
export function pause(ms: number, signal: AbortSignal, clock = SYSTEM_CLOCK): Promise<void> {
  if (ms <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const abort = (): void => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.later(ms, () => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
    signal.addEventListener("abort", abort, { once: true });
  });
}
