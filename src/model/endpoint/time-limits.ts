// The time limits of one try: one for the whole answer, and one for the silence between two events
// of a streamed answer. The signal aborts when a limit passes or the outer signal aborts; `passed`
// tells the two apart.

export class TimeLimits implements Disposable {
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[];
  readonly #outer: AbortSignal;
  readonly #abort = (): void => this.#controller.abort(this.#outer.reason);
  #passed: string | null = null;

  /** `silenceMs`: null when the answer is not streamed. */
  constructor(outer: AbortSignal, wholeMs: number, silenceMs: number | null) {
    this.#outer = outer;
    if (outer.aborted) this.#abort();
    outer.addEventListener("abort", this.#abort, { once: true });
    this.#timers = [this.#limit(wholeMs, `no whole answer within ${wholeMs} ms`)];
    if (silenceMs !== null)
      this.#timers.push(this.#limit(silenceMs, `no token for ${silenceMs} ms`));
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

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#outer.removeEventListener("abort", this.#abort);
  }

  #limit(ms: number, passed: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.#passed = passed;
      this.#controller.abort(new Error(passed));
    }, ms);
  }
}
