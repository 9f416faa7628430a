// The load of a replica and the time of its answers, as far as this process has seen. Requests
// that are still in flight count, too: a replica from which nothing has come back is as slow as
// its requests are old. Pure: times are arguments, in milliseconds.

/** Weight of an answer in the means, once there were as many as its inverse. */
const WEIGHT_MIN = 1 / 16;
/** A replica that had no request for this long is asked again, to see what it is like by now. */
const STALE_MS = 10_000;
/** A replica counts as used to this many requests at once, even when it had fewer. */
const LEVEL_MIN = 8;

/** A request that was begun. */
export interface Begun {
  readonly at: number;
  /** Requests in flight when it was begun, itself included. */
  readonly level: number;
}

export class Load {
  #inFlight = 0;
  /** Sum of the times at which the requests in flight were begun. */
  #begins = 0;
  #answers = 0;
  #meanMs = 0;
  /** Mean number of requests in flight when those that were answered were begun. */
  #level = 0;
  #lastEndAt = Number.NEGATIVE_INFINITY;

  get inFlight(): number {
    return this.#inFlight;
  }

  /** True when it has answered before. */
  get isKnown(): boolean {
    return this.#meanMs > 0;
  }

  begin(now: number): Begun {
    // The next answer counts for itself, and not with the answers of long ago.
    if (this.isStale(now)) this.#answers = 0;
    this.#begins += now;
    return { at: now, level: ++this.#inFlight };
  }

  end({ at }: Begun, now: number): void {
    this.#inFlight--;
    this.#begins -= at;
    this.#lastEndAt = now;
  }

  answered({ level }: Begun, ms: number): void {
    const weight = Math.max(WEIGHT_MIN, 1 / ++this.#answers);
    this.#meanMs += (ms - this.#meanMs) * weight;
    this.#level += (level - this.#level) * weight;
  }

  isStale(now: number): boolean {
    return this.#inFlight === 0 && now - this.#lastEndAt >= STALE_MS;
  }

  /**
   * The expected time to the answer of a request that is sent behind `ahead` others which wait. A
   * server that is given more than it is used to answers later in proportion.
   */
  expectedMs(ahead: number, now: number): number {
    const ageMs = this.#inFlight === 0 ? 0 : now - this.#begins / this.#inFlight;
    const usual = Math.max(LEVEL_MIN, this.#level);
    const more = Math.max(1, (this.#inFlight + ahead + 1) / (usual + 1));
    return Math.max(this.#meanMs, ageMs) * more;
  }
}
