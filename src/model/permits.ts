// Permits of a process: what waits here asks for its turns together, and goes when they have come. Whoever gives the turns is
// passed in: this process itself, or the driver for all hosts of a run. While that one is away, what has a limit waits.

import type { Rate } from "./rate.ts";
import type { Permits } from "./site.ts";

/** What is asked for at once; the rest is asked for next. */
const WANTS_MAX = 1000;
const AGAIN_MS = 250;
/** Until what is settled is told when nothing waits. */
const SETTLE_MS = 100;

/** Waits, in milliseconds from now, of the first so many that are wanted; none when it is too early for any. */
export interface Turns {
  ask(model: string, wanted: Wanted): Promise<readonly number[]>;
}

export interface Wanted {
  /** Tokens of each request that waits, about. */
  readonly tokens: readonly number[];
  /** By how much earlier requests came to more tokens than was asked for. */
  readonly settled: number;
}

export class TurnPermits implements Permits {
  readonly #lines = new Map<string, Line>();

  /** `rates`: of the models that have one; others are asked freely. */
  constructor(rates: ReadonlyMap<string, Rate>, turns: Turns) {
    for (const model of rates.keys()) this.#lines.set(model, new Line((wanted) => turns.ask(model, wanted)));
  }

  take(model: string, tokens: number, signal: AbortSignal): Promise<void> {
    return this.#lines.get(model)?.wait(tokens, signal) ?? Promise.resolve();
  }

  settle(model: string, estimated: number, used: number): void {
    this.#lines.get(model)?.settle(used - estimated);
  }
}

interface Waiter {
  readonly tokens: number;
  readonly go: () => void;
}

/** Requests to one model, first come, first served. */
class Line {
  readonly #ask: (wanted: Wanted) => Promise<readonly number[]>;
  readonly #waiting = new Set<Waiter>();
  #settled = 0;
  #isAsking = false;

  constructor(ask: (wanted: Wanted) => Promise<readonly number[]>) {
    this.#ask = ask;
  }

  async wait(tokens: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { tokens: Math.ceil(tokens), go: resolve };
    const abort = (): void => {
      this.#waiting.delete(waiter);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#waiting.add(waiter);
    void this.#askOn();
    await promise.finally(() => signal.removeEventListener("abort", abort));
  }

  settle(tokens: number): void {
    this.#settled += Math.round(tokens);
    if (this.#waiting.size === 0 && !this.#isAsking) void this.#askOn(SETTLE_MS);
  }

  async #askOn(afterMs = 0): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    if (afterMs > 0) await delay(afterMs);
    while (this.#waiting.size > 0 || this.#settled !== 0) {
      const asking = firstOf(this.#waiting, WANTS_MAX);
      const settled = this.#settled;
      this.#settled = 0;
      try {
        const waits = await this.#ask({ tokens: asking.map(({ tokens }) => tokens), settled });
        for (const [index, ms] of waits.entries()) this.#goIn(ms, asking[index]);
      } catch {
        this.#settled += settled;
        await delay(AGAIN_MS);
      }
    }
    this.#isAsking = false;
  }

  /** The turn of one that gave up in the meantime is nobody's. */
  #goIn(ms: number, waiter: Waiter | undefined): void {
    if (waiter === undefined || !this.#waiting.delete(waiter)) return;
    setTimeout(waiter.go, ms);
  }
}

function firstOf<T>(all: Iterable<T>, most: number): T[] {
  const first: T[] = [];
  for (const one of all) {
    if (first.length === most) break;
    first.push(one);
  }
  return first;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
