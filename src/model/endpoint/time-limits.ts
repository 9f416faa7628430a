// The time limits of one try: one for the whole answer, and one for the silence between two events
// of a streamed answer. The signal aborts when a limit passes or the outer signal aborts; `passed`
// tells the two apart.

export class TimeLimits implements Disposable {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #silenceMs: number | null;
  readonly #abort = (): void => this.#controller.abort(this.#outer.reason);
  #timers: NodeJS.Timeout[] = [];
  #endsAt: number;
  #isOver = false;
  #passed: string | null = null;
  readonly #wholeMs: number;

  /** `silenceMs`: null when the answer is not streamed. */
  constructor(outer: AbortSignal, wholeMs: number, silenceMs: number | null) {
    this.#outer = outer;
    this.#silenceMs = silenceMs;
    this.#wholeMs = wholeMs;
    if (outer.aborted) this.#abort();
    outer.addEventListener("abort", this.#abort, { once: true });
    this.#endsAt = performance.now() + wholeMs;
    this.#start(wholeMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The limit that passed, in words such as "no token for 500 ms"; null when none has. */
  get passed(): string | null {
    return this.#passed;
  }

  /** Restarts the time of silence. */
  heard(): void {
    this.#timers[1]?.refresh();
  }

  /** Stops the clock while this process keeps the server waiting. */
  async pausedFor(wait: Promise<void>): Promise<void> {
    const leftMs = this.#endsAt - performance.now();
    for (const timer of this.#timers) clearTimeout(timer);
    try {
      await wait;
    } finally {
      this.#endsAt = performance.now() + leftMs;
      if (!this.#isOver) this.#start(leftMs);
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#outer.removeEventListener("abort", this.#abort);
  }

  #start(leftMs: number): void {
    this.#timers = [this.#limit(leftMs, `no whole answer within ${this.#wholeMs} ms`)];
    const silenceMs = this.#silenceMs;
    if (silenceMs !== null)
      this.#timers.push(this.#limit(silenceMs, `no token for ${silenceMs} ms`));
  }

  #limit(ms: number, passed: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.#passed = passed;
      this.#controller.abort(new Error(passed));
    }, ms);
  }
}
