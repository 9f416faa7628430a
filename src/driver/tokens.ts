// The global semaphore: one token for each task in flight. Admission takes, the sink gives back, and nothing else bounds a run.

export class Tokens {
  readonly #total: number;
  #free: number;
  /** Whoever waits for a change: admission for a free token, the run's end for all of them. */
  #waiting: (() => void)[] = [];

  constructor(total: number) {
    this.#total = total;
    this.#free = total;
  }

  get taken(): number {
    return this.#total - this.#free;
  }

  /** Takes a token if one is free. */
  take(): boolean {
    if (this.#free <= 0) return false;
    this.#free--;
    return true;
  }

  /** For a task that is in flight already: there may be more of these than tokens. */
  takeAnyway(): void {
    this.#free--;
  }

  give(count: number): void {
    this.#free += count;
    this.wake();
  }

  /** Resolves at the next change. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when every token is back: nothing is in flight and all of it is written. */
  async allBack(): Promise<void> {
    while (this.#free < this.#total) await this.changed();
  }

  /** Lets whoever waits look again. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
