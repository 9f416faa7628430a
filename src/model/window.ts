// How many requests a replica is given at once, found out by use: twice as many with every round of answers until the replica
// says that it is too much, then less at once and one more a round (additive increase, multiplicative decrease; after TCP's
// congestion control, RFC 5681). Pure: time is an argument.

/** Where it starts: what any server takes, and a few rounds from what large ones take. */
const START = 128;
/** What is left after a sign of overload. */
const DECREASE = 0.7;

export class Window {
  readonly #max: number;
  #size: number;
  /** Up to here it grows fast: beyond, it was too much before. */
  #threshold = Number.POSITIVE_INFINITY;
  #reducedAt = Number.NEGATIVE_INFINITY;
  /** Answers since the last sign of overload. */
  #answers = 0;
  #isOverloaded = false;

  constructor(max: number) {
    this.#max = max;
    this.#size = Math.min(START, max);
  }

  get size(): number {
    return Math.floor(this.#size);
  }

  /** `inFlight` counts the answered one. A window that is not used says nothing about a larger one. */
  answered(inFlight: number): void {
    if (++this.#answers >= this.#size) this.#isOverloaded = false;
    if (inFlight * 2 < this.#size) return;
    this.#size = Math.min(this.#max, this.#size + (this.#size < this.#threshold ? 1 : 1 / this.#size));
  }

  /** Less once a round trip: what was sent before the last time says nothing new. A storm sets the threshold where it began. */
  overloaded(sentAt: number, inFlight: number, now: number): void {
    this.#answers = 0;
    if (sentAt < this.#reducedAt) return;
    this.#reducedAt = now;
    this.#size = Math.max(1, Math.min(this.#size, inFlight) * DECREASE);
    if (!this.#isOverloaded) this.#threshold = this.#size;
    this.#isOverloaded = true;
  }
}
