// How many requests a replica is given at once, found out by use: twice as many with every round of answers until the replica
// says that it is too much, then less at once and a little more with every round (additive increase, multiplicative decrease;
// after TCP's congestion control, RFC 5681). Pure: time is an argument.

/** Where it starts: what any server takes, and a few rounds from what large ones take. */
const START = 128;
/** What is left when it was too much. */
const DECREASE = 0.7;
/** What a round of answers adds beyond the threshold: one, or this share. */
const INCREASE = 0.05;
/** The share of a round that may be turned away: an endpoint that others use as well does so whatever one sends. */
const TOLERATED = 0.25;

export class Window {
  readonly #max: number;
  #size: number;
  /** Up to here it grows fast: beyond, it was too much before. */
  #threshold = Number.POSITIVE_INFINITY;
  /** Of what was sent since the last time that it became less, or for a whole window since. */
  #round = { startedAt: Number.NEGATIVE_INFINITY, answered: 0, overloaded: 0 };
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
    this.#round.answered++;
    this.#endRound();
    if (inFlight * 2 < this.#size) return;
    const more = this.#size < this.#threshold ? 1 : Math.max(1 / this.#size, INCREASE);
    this.#size = Math.min(this.#max, this.#size + more);
  }

  /**
   * Less at most once a round trip: what was sent before the last time says nothing new. One that answers nothing at all (a
   * storm, a restart) says nothing of what it takes otherwise: the threshold stays where that began.
   */
  overloaded(sentAt: number, inFlight: number, now: number): void {
    if (sentAt < this.#round.startedAt) return;
    this.#round.overloaded++;
    const used = Math.min(this.#size, inFlight);
    if (this.#round.overloaded < used * TOLERATED) {
      this.#endRound();
      return;
    }
    this.#size = Math.max(1, used * DECREASE);
    if (this.#hasAnswered || this.#threshold === Number.POSITIVE_INFINITY)
      this.#threshold = this.#size;
    this.#hasAnswered = false;
    this.#round = { startedAt: now, answered: 0, overloaded: 0 };
  }

  #endRound(): void {
    const { startedAt, answered, overloaded } = this.#round;
    if (answered + overloaded >= this.#size)
      this.#round = { startedAt, answered: 0, overloaded: 0 };
  }
}
