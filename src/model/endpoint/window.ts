// The number of requests that a replica gets at once, found by use. The window doubles with every
// round of answers until the replica turns too many away. It then shrinks at once and grows a
// little with every round (additive increase, multiplicative decrease; after TCP's congestion
// control, RFC 5681). Pure: time is an argument.

/** The first window: any server takes it, and a large server's window is a few rounds away. */
const START = 128;
/** Factor by which the window shrinks. */
const DECREASE = 0.7;
/**
 * Share of itself by which a window beyond the threshold grows with each round; at least one
 * request.
 */
const INCREASE = 0.05;
/**
 * Share of a round that may be turned away. An endpoint with other users turns some away whatever
 * this run sends.
 */
const TOLERATED = 0.25;

export class Window {
  readonly #max: number;
  #size: number;
  /** Below this size the window doubles; the replica turned requests away beyond it. */
  #threshold = Number.POSITIVE_INFINITY;
  /** Counts since the window last shrank, or since the last whole window of answers. */
  #round = { startedAt: Number.NEGATIVE_INFINITY, answered: 0, overloaded: 0 };
  #hasAnswered = false;

  constructor(max: number) {
    this.#max = max;
    this.#size = Math.min(START, max);
  }

  get size(): number {
    return Math.floor(this.#size);
  }

  /**
   * `inFlight` includes the answered request. A window that is less than half used does not grow.
   */
  answered(inFlight: number): void {
    this.#hasAnswered = true;
    this.#round.answered++;
    this.#endRound();
    if (inFlight * 2 < this.#size) return;
    const more = this.#size < this.#threshold ? 1 : Math.max(1 / this.#size, INCREASE);
    this.#size = Math.min(this.#max, this.#size + more);
  }

  /**
   * Shrinks the window at most once in a round trip, because requests from before the last shrink
   * say nothing new. A replica that answers nothing at all (a storm, a restart) does not show how
   * much it takes at other times, so the threshold stays where it was.
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
