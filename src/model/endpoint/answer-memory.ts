// A bound on the sum of the answers that one process reads at once. One answer may have 64 MiB, and
// a hostile server could send hundreds of them together. An answer that is due more memory than is
// free waits, and its server with it. The oldest of the large answers never waits, because it has a
// reserve of its own: one of them always comes to its end, so they cannot block each other.

import { TASK_BYTES_MAX } from "../../task/size.ts";

/** Bytes of large answers that a process holds together, beside the reserve of the oldest. */
const SHARED_BYTES_MAX = 128 * 2 ** 20;
/** An answer holds this many bytes without being counted. Almost all answers have fewer. */
const FREE_BYTES = 64 * 2 ** 10;

export interface AnswerMemoryOptions {
  readonly sharedBytesMax?: number;
  readonly freeBytes?: number;
}

/** The memory that one answer holds. */
export interface AnswerShare extends Disposable {
  /**
   * Raises what the answer holds to this many bytes. Returns null when they are granted at once,
   * and a promise otherwise. The promise fails with the reason of the signal.
   */
  reach(bytes: number): Promise<void> | null;
}

export class AnswerMemory {
  readonly #sharedBytesMax: number;
  readonly #freeBytes: number;
  /** Shares that hold counted bytes or wait for their first, the oldest first. */
  readonly #large = new Set<Share>();
  #bytes = 0;

  constructor({
    sharedBytesMax = SHARED_BYTES_MAX,
    freeBytes = FREE_BYTES,
  }: AnswerMemoryOptions = {}) {
    this.#sharedBytesMax = sharedBytesMax;
    this.#freeBytes = freeBytes;
  }

  /** Bytes that are counted now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Answers that wait for memory. */
  get waiting(): number {
    return [...this.#large].filter(({ isWaiting }) => isWaiting).length;
  }

  open(signal: AbortSignal): AnswerShare {
    const share = new Share(signal, this.#freeBytes, {
      take: (bytes) => this.#take(share, bytes),
      close: (bytes) => {
        this.#bytes -= bytes;
        if (this.#large.delete(share)) this.#next();
      },
    });
    return share;
  }

  /** True when the bytes are granted now. */
  #take(share: Share, bytes: number): boolean {
    this.#large.add(share);
    const [oldest] = this.#large;
    if (share !== oldest && this.#bytes + bytes > this.#sharedBytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  #next(): void {
    for (const share of this.#large) share.tryAgain();
  }
}

interface Pool {
  readonly take: (bytes: number) => boolean;
  readonly close: (bytes: number) => void;
}

class Share implements AnswerShare {
  readonly #signal: AbortSignal;
  readonly #freeBytes: number;
  readonly #pool: Pool;
  /** Bytes that are granted, beside the free ones. */
  #granted = 0;
  #wanted = 0;
  #waiting: (() => void) | null = null;

  constructor(signal: AbortSignal, freeBytes: number, pool: Pool) {
    this.#signal = signal;
    this.#freeBytes = freeBytes;
    this.#pool = pool;
  }

  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  reach(bytes: number): Promise<void> | null {
    const wanted = Math.min(bytes, TASK_BYTES_MAX) - this.#freeBytes;
    if (wanted <= this.#wanted) return null;
    this.#wanted = wanted;
    return this.#isGranted() ? null : this.#wait();
  }

  tryAgain(): void {
    if (this.#waiting !== null && this.#isGranted()) this.#waiting();
  }

  [Symbol.dispose](): void {
    this.#pool.close(this.#granted);
    this.#granted = 0;
  }

  #isGranted(): boolean {
    if (!this.#pool.take(this.#wanted - this.#granted)) return false;
    this.#granted = this.#wanted;
    return true;
  }

  #wait(): Promise<void> {
    const signal = this.#signal;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiting = null;
        reject(signal.reason);
      };
      if (signal.aborted) return abort();
      this.#waiting = () => {
        this.#waiting = null;
        signal.removeEventListener("abort", abort);
        resolve();
      };
      signal.addEventListener("abort", abort, { once: true });
    });
  }
}
