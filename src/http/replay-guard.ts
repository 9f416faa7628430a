// The replay guard: no request of a sender is taken twice. Requests are numbered, and may overtake
// each other within a window, as in RFC 4303 (IPsec). The guard forgets a sender after a long
// silence.

/** A request may come this far behind the highest number. */
const WINDOW = 1024;
const SENDERS_MAX = 4096;

interface Seen {
  highest: number;
  /** A ring: slot n % WINDOW holds the last number that was seen there; -1 for none. */
  readonly numbers: Float64Array;
}

export class ReplayGuard {
  /** Ordered by the time of each sender's last request, oldest first. */
  readonly #senders = new Map<string, Seen>();

  /** Returns false when the number was taken before, or is too old for the window. */
  accept(from: string, number: number): boolean {
    const seen = this.#senders.get(from) ?? {
      highest: -1,
      numbers: new Float64Array(WINDOW).fill(-1),
    };
    this.#senders.delete(from);
    this.#senders.set(from, seen);
    if (this.#senders.size > SENDERS_MAX) this.#forgetOldest();
    const slot = number % WINDOW;
    if (number <= seen.highest - WINDOW || seen.numbers[slot] === number) return false;
    seen.numbers[slot] = number;
    seen.highest = Math.max(seen.highest, number);
    return true;
  }

  #forgetOldest(): void {
    const oldest = this.#senders.keys().next().value;
    if (oldest !== undefined) this.#senders.delete(oldest);
  }
}
