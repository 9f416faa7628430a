// A bound on the attachments that are in requests at once. A request holds an attachment several
// times, as text and as bytes on their way to the socket, so a few hundred large images would fill
// the memory of a machine. A step waits here before its attachments are read.

/** Bytes of attachments, before base64, that requests of this process hold together. */
const BYTES_MAX = 96 * 2 ** 20;

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

export class AttachmentMemory {
  readonly #bytesMax: number;
  readonly #waiting = new Set<Waiting>();
  #bytes = 0;

  constructor(bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that are held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Waits, in the order of the calls, until the bytes fit. Returns what gives them back. A request
   * that is larger than the bound goes alone. Fails with the reason of the signal.
   */
  async take(bytes: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#waiting.size > 0 || !this.#fits(bytes)) await this.#wait(bytes, signal);
    else this.#bytes += bytes;
    let isHeld = true;
    return () => {
      if (isHeld) this.#give(bytes);
      isHeld = false;
    };
  }

  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#waiting.delete(waiting);
        reject(signal.reason);
        this.#next();
      };
      const waiting = {
        bytes,
        go: () => {
          signal.removeEventListener("abort", abort);
          resolve();
        },
      };
      this.#waiting.add(waiting);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  #give(bytes: number): void {
    this.#bytes -= bytes;
    this.#next();
  }

  #next(): void {
    for (const waiting of this.#waiting) {
      if (!this.#fits(waiting.bytes)) return;
      this.#waiting.delete(waiting);
      this.#bytes += waiting.bytes;
      waiting.go();
    }
  }
}
