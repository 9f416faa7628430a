// A semaphore for the requests to one model. Requests wait in order of arrival, and stop waiting
// when their signal aborts.

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

  /**
   * Runs the task as soon as there is room. Fails with the signal's reason when that aborts first.
   */
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

  /** Gives the place to the first waiter that was not aborted. */
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
