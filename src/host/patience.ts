// The patience of a host with a silent driver, which may be dead or about to be started again. Only
// time in which this process ran counts: a process that was stopped, or slept with its machine, has
// not waited.

/** Most time between two questions that counts as waiting. */
const STEP_MS_MAX = 5000;

export class Patience {
  readonly #patienceMs: number;
  #silentMs = 0;
  #askedAt: number;

  /** Times are milliseconds of any steady clock. */
  constructor(patienceMs: number, now: number) {
    this.#patienceMs = patienceMs;
    this.#askedAt = now;
  }

  /** Notes that the driver has answered. */
  heard(now: number): void {
    this.#silentMs = 0;
    this.#askedAt = now;
  }

  /** Milliseconds of silence so far. */
  get silentMs(): number {
    return this.#silentMs;
  }

  /** Tells whether to wait on; asked about once a second. */
  ask(now: number): "wait" | "give up" {
    this.#silentMs += Math.min(now - this.#askedAt, STEP_MS_MAX);
    this.#askedAt = now;
    return this.#silentMs < this.#patienceMs ? "wait" : "give up";
  }
}
