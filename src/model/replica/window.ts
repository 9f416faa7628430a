// The number of requests that a replica gets at once. The window begins at what the recipe allows.
// A request that is turned away takes its place with it, so a window that was too large ends at the
// number of requests that the server kept. Places come back in two ways: below the size at which
// too many were turned away, the window doubles whenever it was full for a moment and nothing was
// turned away (no answer is waited for), and beyond it by a small share of each answer. When
// everything is turned away, single requests try the replica, and its former size comes back.
// Pure: times are arguments, in milliseconds.

/**
 * Share of a round that may be turned away without making the window smaller for long. An endpoint
 * with other users turns some requests away whatever this run sends.
 */
const TOLERATED = 1 / 3;
/** Growth with each answer beyond the threshold; one request in twenty is sent to try for more. */
const SLOW_GROWTH = 0.05;
/** A window that has outgrown its threshold by this factor shows that it no longer holds. */
const OUTGROWN = 1.25;
/** Outcomes of a round and refusals in it below which they may be chance. */
const OUTCOMES_MIN = 20;
const REFUSED_MIN = 5;
/** The time after which a request that was not turned away counts as taken. */
const SETTLE_MS = 250;
/** Bounds of the time between two requests that try a replica which turns everything away. */
const CLOSED_MIN_MS = 250;
const CLOSED_MAX_MS = 500;

export interface Refusal {
  /** Requests in flight, this one included. */
  readonly inFlight: number;
  /** The time from sending the request to its refusal. */
  readonly afterMs: number;
  readonly retryAfterMs: number;
  readonly now: number;
}

export class Window {
  readonly #max: number;
  readonly #random: () => number;
  #size: number;
  /** The replica turned too many away beyond this size. */
  #threshold = Number.POSITIVE_INFINITY;
  /** The threshold of the last round in which the replica did not turn too many away. */
  #lasting = Number.POSITIVE_INFINITY;
  /** Counts since the last round ended: a whole window of outcomes. */
  #round = { answered: 0, refused: 0, isTooMuch: false };
  #settleMs = SETTLE_MS;
  /** The time since which the window was full, with no request turned away. */
  #fullSince: number | null = null;
  #pausedUntil = Number.NEGATIVE_INFINITY;

  /** `start`: the size that an earlier start of the run found, if it found one. */
  constructor(max: number, random: () => number, start: number | null = null) {
    this.#max = max;
    this.#random = random;
    this.#size = Math.min(max, start ?? max);
  }

  get size(): number {
    return Math.floor(this.#size);
  }

  /** The size beyond which the replica turns requests away; null when none is known. */
  get found(): number | null {
    return Number.isFinite(this.#threshold) ? Math.floor(this.#threshold) : null;
  }

  isPaused(now: number): boolean {
    return now < this.#pausedUntil;
  }

  /** Tells whether one more request may be sent. A window that is full grows here, by time. */
  hasRoom(inFlight: number, now: number): boolean {
    if (this.isPaused(now)) return false;
    if (inFlight < this.size) return true;
    const bound = Math.min(this.#max, this.#threshold);
    if (this.#size >= bound) return false;
    this.#fullSince ??= now;
    if (now < this.#fullSince + this.#settleMs) return false;
    this.#size = Math.min(bound, this.#size * 2);
    this.#fullSince = now;
    return inFlight < this.size;
  }

  /** The time at which it may have room without any answer; null when there is none. */
  changesAt(now: number): number | null {
    if (this.isPaused(now)) return this.#pausedUntil;
    return this.#fullSince === null || this.#size >= Math.min(this.#max, this.#threshold)
      ? null
      : this.#fullSince + this.#settleMs;
  }

  /** `inFlight` includes the answered request. A window that is less than half used stays. */
  answered(inFlight: number): void {
    this.#round.answered++;
    this.#endRound();
    if (inFlight * 2 < this.#size) return;
    this.#size = Math.min(this.#max, this.#size + (this.#size < this.#threshold ? 1 : SLOW_GROWTH));
    if (this.#size > this.#threshold * OUTGROWN) this.#threshold = Number.POSITIVE_INFINITY;
  }

  refused({ inFlight, afterMs, retryAfterMs, now }: Refusal): void {
    const others = inFlight - 1;
    const used = Math.min(this.#size, inFlight);
    this.#round.refused++;
    this.#fullSince = null;
    this.#settleMs = Math.max(SETTLE_MS, 2 * afterMs);
    this.#size = Math.max(1, this.#size - 1);
    const outcomes = this.#round.answered + this.#round.refused;
    if (this.#round.refused >= Math.max(REFUSED_MIN, TOLERATED * Math.max(used, outcomes))) {
      this.#round.isTooMuch = true;
      this.#size = Math.max(1, Math.min(this.#size, others));
      this.#threshold = this.#size;
    }
    if (others === 0) this.#close(retryAfterMs, now);
  }

  /**
   * Begins anew with what is in flight: the replica was down, and the requests that wait for it
   * must not come at once.
   */
  restart(inFlight: number): void {
    this.#size = Math.max(1, Math.min(this.#size, inFlight));
    this.#fullSince = null;
  }

  /** The replica takes nothing at all now, which says nothing of how much it takes otherwise. */
  #close(retryAfterMs: number, now: number): void {
    const waitMs = CLOSED_MIN_MS + (CLOSED_MAX_MS - CLOSED_MIN_MS) * this.#random();
    this.#pausedUntil = Math.max(this.#pausedUntil, now + Math.max(waitMs, retryAfterMs));
    this.#size = 1;
    this.#threshold = this.#lasting;
    this.#round = { answered: 0, refused: 0, isTooMuch: false };
  }

  /** Refusals without an answer between them are one burst, so only an answer ends a round. */
  #endRound(): void {
    const { answered, refused, isTooMuch } = this.#round;
    const outcomes = answered + refused;
    if (outcomes < Math.max(this.#size, OUTCOMES_MIN)) return;
    this.#round = { answered: 0, refused: 0, isTooMuch: false };
    if (isTooMuch || refused >= TOLERATED * outcomes) return;
    // More is turned away than a window tries that is as large as it may be: its size is not why.
    if (refused > 2 * SLOW_GROWTH * outcomes) this.#threshold *= OUTGROWN;
    else this.#lasting = this.#threshold;
  }
}
