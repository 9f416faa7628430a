// How many requests a replica is given at once, found out by use: twice as many with every round of answers until the replica
// says that it is too much, then less at once and a little more with every round (additive increase, multiplicative decrease;
// after TCP's congestion control, RFC 5681). Pure: time is an argument.

/** Where it starts: what any server takes, and a few rounds from what large ones take. */
const START = 128;
/** What is left after a sign of overload. */
const DECREASE = 0.7;
/** What a round of answers adds beyond the threshold: one, or this share. */
const INCREASE = 0.05;

export class Window {
  readonly #max: number;
  #size: number;
  /** Up to here it grows fast: beyond, it was too much before. */
  #threshold = Number.POSITIVE_INFINITY;
  #reducedAt = Number.NEGATIVE_INFINITY;
  #hasAnswered = false;

  constructor(max: number) {
    this.#max = max;
    this.#size = Math.min(START, max);
  }

  get size(): number {
    return Math.floor(this.#size);
  }

  /** `inFlight` counts the answered one. A window that is not used says nothing about a larger one. */
  answered(inFlight: number): void {
    this.#hasAnswered = true;
    if (inFlight * 2 < this.#size) return;
    const more = this.#size < this.#threshold ? 1 : Math.max(1 / this.#size, INCREASE);
    this.#size = Math.min(this.#max, this.#size + more);
  }

  /**
   * Less once a round trip: what was sent before the last time says nothing new. One that answers nothing at all (a storm, a
   * restart) says nothing of what it takes otherwise: the threshold stays where that began.
   */
  overloaded(sentAt: number, inFlight: number, now: number): void {
    if (sentAt < this.#reducedAt) return;
    this.#reducedAt = now;
    this.#size = Math.max(1, Math.min(this.#size, inFlight) * DECREASE);
    if (this.#hasAnswered || this.#threshold === Number.POSITIVE_INFINITY) this.#threshold = this.#size;
    this.#hasAnswered = false;
  }
}
