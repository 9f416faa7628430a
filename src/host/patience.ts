// How long a host bears the silence of its driver, which may be dead or about to be started again. Only time in which this
// process ran counts: one that was stopped, or slept with its machine, has not waited.

/** The most that the time between two questions counts. */
const STEP_MS_MAX = 5000;

export class Patience {
  readonly #patienceMs: number;
  #silentMs = 0;
  #askedAt: number;

  /** Times in milliseconds of any steady clock. */
  constructor(patienceMs: number, now: number) {
    this.#patienceMs = patienceMs;
    this.#askedAt = now;
  }

  /** The driver has answered. */
  heard(now: number): void {
    this.#silentMs = 0;
    this.#askedAt = now;
  }

  /** To be asked about once a second. */
  ask(now: number): "wait" | "give up" {
    this.#silentMs += Math.min(now - this.#askedAt, STEP_MS_MAX);
    this.#askedAt = now;
    return this.#silentMs < this.#patienceMs ? "wait" : "give up";
  }
}
