// Permits of a process: what waits here asks for its turns together, and goes when they have come. Whoever gives the turns is
// passed in: this process itself, or the driver for all hosts of a run. While that one is away, what has a limit waits.

import type { Permits } from "./site.ts";

/** What is asked for at once; the rest is asked for next. */
const WANTS_MAX = 1000;
const AGAIN_MS = 250;
/** Until what was settled is told. */
const SETTLE_MS = 50;

/** Waits, in milliseconds from now, of the first so many that are wanted; none when it is too early for any. */
export interface Turns {
  ask(model: string, wanted: Wanted): Promise<readonly number[]>;
}

export interface Wanted {
  /** Tokens of each request that waits, about. */
  readonly tokens: readonly number[];
  /** By how much earlier requests came to more tokens than was asked for. With nothing that waits, it is only told. */
  readonly settled: number;
}

export class TurnPermits implements Permits {
  readonly #turns: Turns;
  readonly #lines = new Map<string, Line>();

  /** `models`: those that have a rate; others are asked freely. */
  constructor(models: Iterable<string>, turns: Turns) {
    this.#turns = turns;
    this.rate(models);
  }

  /** More models: a driver that goes on with a run may have other limits than the one before it. */
  rate(models: Iterable<string>): void {
    for (const model of models)
      if (!this.#lines.has(model))
        this.#lines.set(model, new Line((wanted) => this.#turns.ask(model, wanted)));
  }

  take(model: string, estimate: () => number, signal: AbortSignal): Promise<number> {
    return this.#lines.get(model)?.wait(estimate, signal) ?? Promise.resolve(0);
  }

  settle(model: string, taken: number, used: number): void {
    this.#lines.get(model)?.settle(used - taken);
  }
}

interface Waiter {
  readonly estimate: () => number;
  readonly go: (tokens: number) => void;
}

/** Requests to one model, first come, first served. */
class Line {
  readonly #ask: (wanted: Wanted) => Promise<readonly number[]>;
  readonly #waiting = new Set<Waiter>();
  #settled = 0;
  #isAsking = false;
  #isTelling = false;

  constructor(ask: (wanted: Wanted) => Promise<readonly number[]>) {
    this.#ask = ask;
  }

  async wait(estimate: () => number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const waiter = { estimate, go: resolve };
    const abort = (): void => {
      this.#waiting.delete(waiter);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#waiting.add(waiter);
    void this.#askOn();
    return promise.finally(() => signal.removeEventListener("abort", abort));
  }

  settle(tokens: number): void {
    this.#settled += Math.round(tokens);
    void this.#tellOn();
  }

  async #askOn(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#waiting.size > 0) {
      const asking = firstOf(this.#waiting, WANTS_MAX);
      const tokens = asking.map(({ estimate }) => Math.ceil(estimate()));
      try {
        const waits = await this.#ask({ tokens, settled: 0 });
        for (const [index, ms] of waits.entries())
          this.#goIn(ms, asking[index], tokens[index] ?? 0);
      } catch {
        await delay(AGAIN_MS);
      }
    }
    this.#isAsking = false;
  }

  /** Beside what waits, which may be waiting for just that. */
  async #tellOn(): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    while (this.#settled !== 0) {
      await delay(SETTLE_MS);
      const settled = this.#settled;
      this.#settled = 0;
      try {
        await this.#ask({ tokens: [], settled });
      } catch {
        this.#settled += settled;
      }
    }
    this.#isTelling = false;
  }

  /** The turn of one that gave up in the meantime is nobody's. */
  #goIn(ms: number, waiter: Waiter | undefined, tokens: number): void {
    if (waiter === undefined || !this.#waiting.delete(waiter)) return;
    setTimeout(waiter.go, ms, tokens);
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
