// A semaphore for requests to one model. Waiting is first come, first served, and ends with the
// waiter's signal.

import Queue from "yocto-queue";

interface Waiter {
  readonly start: () => void;
  readonly signal: AbortSignal;
}

export class RequestLimit {
  #free: number;
  readonly #waiting = new Queue<Waiter>();

  constructor(total: number) {
    this.#free = total;
  }

  /** Runs when there is room. Fails with the signal's reason when it aborts first. */
  async run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    try {
      return await task();
    } finally {
      this.#release();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      this.#waiting.enqueue({
        signal,
        start: () => {
          signal.removeEventListener("abort", abort);
          resolve();
        },
      });
    });
  }

  /** Hands the place to the first waiter that still wants it. */
  #release(): void {
    for (
      let waiter = this.#waiting.dequeue();
      waiter !== undefined;
      waiter = this.#waiting.dequeue()
    ) {
      if (waiter.signal.aborted) continue;
      waiter.start();
      return;
    }
    this.#free++;
  }
}
