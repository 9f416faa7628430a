// Starts of sandboxes on one host: few at once, more as they succeed, and none for a while when an engine keeps failing. Work
// in sandboxes that run is not touched by any of it.

import { MatrixError, messageOf } from "../error.ts";
import type { Log } from "../telemetry/log.ts";

export interface StartsOptions {
  /** Starts in progress at most. */
  readonly atOnceMax: number;
  readonly log: Log;
  /** Milliseconds, from anywhere. */
  readonly clock: () => number;
}

/** Starts in progress to begin with. */
const AT_ONCE_FIRST = 2;
/** After so many failures in a row the breaker opens. */
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
  /** Until when nothing is started, and why. */
  #open: { readonly until: number; readonly why: string } | null = null;

  constructor(options: StartsOptions) {
    this.#options = options;
    this.#atOnce = Math.min(AT_ONCE_FIRST, options.atOnceMax);
  }

  /** Runs one start when it is its turn. Fails at once with `sandbox_unavailable` while the breaker is open. */
  async run<T>(start: () => Promise<T>): Promise<T> {
    await this.#turn();
    try {
      this.#refuseWhileOpen();
      const started = await start();
      this.#succeeded();
      return started;
    } catch (thrown) {
      if (thrown instanceof MatrixError && thrown.code === "sandbox_unavailable")
        this.#failed(thrown);
      throw thrown;
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
    const leftMs = this.#open.until - this.#options.clock();
    // Once the time is over, one start tries; the others go on being refused until it has told.
    if (leftMs <= 0) {
      this.#open = { until: this.#options.clock() + this.#openMs, why: this.#open.why };
      return;
    }
    throw new Refusal(this.#open.why, Math.ceil(leftMs));
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
    if (error instanceof Refusal) return;
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

class Refusal extends MatrixError {
  constructor(why: string, retryAfterMs: number) {
    super(
      "sandbox_unavailable",
      `no sandbox is started for now, after ${FAILURES_MAX} failures: ${why}`,
      { retryAfterMs },
    );
  }
}
