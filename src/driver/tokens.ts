// The global semaphore: one token for each task in flight. Admission takes tokens and the sink
// gives them back. Nothing else bounds the number of tasks in flight.

export class Tokens {
  readonly #total: number;
  #free: number;
  /** Waits for a change: admission for a free token, the end of the run for all of them. */
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

  /** Takes a token for a task that is in flight already. There may be more of these than tokens. */
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

  /** Lets everything that waits look again. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
