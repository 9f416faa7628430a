// The permits of one process: a request to a model with a rate waits here until the source of
// permits lets it go. The source is this process itself, or the driver for all hosts of a run.
// Requests that wait ask for their permits together. While the driver is away, requests to models
// with a rate wait.

import type { Permits } from "./context.ts";

/** Permits that are asked for at once; the rest is asked for next. */
const REQUESTS_MAX = 1000;
const RETRY_MS = 250;
/** Settled tokens are collected for this long before they are reported. */
const SETTLE_MS = 50;

export interface PermitSource {
  /**
   * Returns permits for the first requests of the list, in order: the milliseconds from now after
   * which each may be sent. The list is empty when it is too early for any.
   */
  ask(model: string, request: PermitRequest): Promise<readonly number[]>;
}

export interface PermitRequest {
  /** Estimated tokens of each request that waits. */
  readonly tokens: readonly number[];
  /** Tokens that earlier requests used beyond their estimate; negative when they used fewer. */
  readonly settled: number;
}

export class ProcessPermits implements Permits {
  readonly #source: PermitSource;
  readonly #lines = new Map<string, ModelLine>();

  /** `models`: the models that have a rate. Requests to other models need no permit. */
  constructor(models: Iterable<string>, source: PermitSource) {
    this.#source = source;
    this.addModels(models);
  }

  /**
   * Adds models that have a rate: the next driver of a run may set other limits than the one
   * before.
   */
  addModels(models: Iterable<string>): void {
    for (const model of models)
      if (!this.#lines.has(model))
        this.#lines.set(model, new ModelLine((request) => this.#source.ask(model, request)));
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
class ModelLine {
  readonly #ask: (request: PermitRequest) => Promise<readonly number[]>;
  readonly #waiting = new Set<Waiter>();
  #settled = 0;
  #isAsking = false;
  #isReporting = false;

  constructor(ask: (request: PermitRequest) => Promise<readonly number[]>) {
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
    void this.#askWhileWaiting();
    return promise.finally(() => signal.removeEventListener("abort", abort));
  }

  settle(tokens: number): void {
    this.#settled += Math.round(tokens);
    void this.#reportSettled();
  }

  async #askWhileWaiting(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#waiting.size > 0) {
      const asking = firstOf(this.#waiting, REQUESTS_MAX);
      const tokens = asking.map(({ estimate }) => Math.ceil(estimate()));
      try {
        const waits = await this.#ask({ tokens, settled: 0 });
        for (const [index, ms] of waits.entries())
          this.#letGo(asking[index], ms, tokens[index] ?? 0);
      } catch {
        await delay(RETRY_MS);
      }
    }
    this.#isAsking = false;
  }

  /**
   * Reports settled tokens apart from the requests that wait, which may be waiting for just these
   * tokens. What the source did not take is reported again.
   */
  async #reportSettled(): Promise<void> {
    if (this.#isReporting) return;
    this.#isReporting = true;
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
    this.#isReporting = false;
  }

  /** The permit of a request that was given up meanwhile is lost. */
  #letGo(waiter: Waiter | undefined, ms: number, tokens: number): void {
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
