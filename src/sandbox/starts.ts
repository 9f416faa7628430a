// Starts of sandboxes on one host: few at once at first, more as they succeed, and none for a while
// when the engine keeps failing. Sandboxes that already run are not affected.

import { MatrixError, messageOf } from "../error.ts";
import type { Log } from "../telemetry/log.ts";

export interface StartsOptions {
  /** Upper bound of starts in progress. */
  readonly atOnceMax: number;
  readonly log: Log;
  /** Milliseconds from any fixed point. */
  readonly clock: () => number;
}

/** Starts in progress before any has succeeded. */
const AT_ONCE_FIRST = 2;
/** Failures in a row that open the breaker. */
const FAILURES_MAX = 5;
const OPEN_MS_FIRST = 2000;
const OPEN_MS_MAX = 60_000;

export class Starts {
  readonly #options: StartsOptions;
  readonly #waiting: (() => void)[] = [];
  #atOnce: number;
  #running = 0;
  #failures = 0;
  #openMs = OPEN_MS_FIRST;
  /** The open breaker: the time until which nothing is started, and the reason. */
  #open: { readonly until: number; readonly why: string } | null = null;

  constructor(options: StartsOptions) {
    this.#options = options;
    this.#atOnce = Math.min(AT_ONCE_FIRST, options.atOnceMax);
  }

  /**
   * Runs one start when its turn comes. Fails with `sandbox_unavailable` while the breaker is open.
   */
  async run<T>(start: () => Promise<T>): Promise<T> {
    await this.#turn();
    try {
      this.#refuseWhileOpen();
      return await this.#try(start);
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    while (this.#running >= this.#atOnce)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
  }

  #refuseWhileOpen(): void {
    if (this.#open === null) return;
    const { until, why } = this.#open;
    const leftMs = until - this.#options.clock();
    if (leftMs > 0)
      throw new MatrixError(
        "sandbox_unavailable",
        `no sandbox is started for now, after ${FAILURES_MAX} failures: ${why}`,
        { retryAfterMs: Math.ceil(leftMs) },
      );
    // This start is the trial. Other starts are refused until it has ended.
    this.#open = { until: this.#options.clock() + this.#openMs, why };
  }

  async #try<T>(start: () => Promise<T>): Promise<T> {
    try {
      const started = await start();
      this.#succeeded();
      return started;
    } catch (thrown) {
      // Other errors say nothing about the engine.
      if (thrown instanceof MatrixError && thrown.code === "sandbox_unavailable")
        this.#failed(thrown);
      throw thrown;
    }
  }

  #succeeded(): void {
    if (this.#open !== null) this.#options.log.write("info", "sandboxes start again");
    this.#open = null;
    this.#failures = 0;
    this.#openMs = OPEN_MS_FIRST;
    if (this.#atOnce < this.#options.atOnceMax) {
      this.#atOnce++;
      this.#waiting.shift()?.();
    }
  }

  #failed(error: MatrixError): void {
    this.#failures++;
    this.#atOnce = Math.max(1, Math.floor(this.#atOnce / 2));
    if (this.#failures < FAILURES_MAX) return;
    this.#open = { until: this.#options.clock() + this.#openMs, why: messageOf(error) };
    this.#options.log.write(
      "warning",
      `no sandbox is started for ${this.#openMs} ms: ${messageOf(error)}`,
    );
    this.#openMs = Math.min(OPEN_MS_MAX, this.#openMs * 2);
  }
}
