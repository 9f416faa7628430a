// The pace of one model's requests: a number of requests and of tokens a minute, evenly spaced.
// Pure: time is an argument. Unused time is not saved up, so no minute has more than its share,
// neither the first one nor the one after a restart.
//
// A request may go once everything before it is paid off at the model's rate. A request that is
// larger than the tokens of a whole minute goes, too, and is paid off afterwards.

const MINUTE_MS = 60_000;

/** An unset limit does not bound anything. */
export interface Rate {
  /** Requests per minute. */
  readonly rpm?: number | undefined;
  /** Tokens per minute, prompts and completions together. */
  readonly tpm?: number | undefined;
}

/** Times are milliseconds of any steady clock. */
export class Pace {
  readonly #requestMs: number;
  readonly #tokenMs: number;
  #requestsPaidAt = Number.NEGATIVE_INFINITY;
  #tokensPaidAt = Number.NEGATIVE_INFINITY;

  constructor({ rpm, tpm }: Rate) {
    this.#requestMs = rpm === undefined ? 0 : MINUTE_MS / rpm;
    this.#tokenMs = tpm === undefined ? 0 : MINUTE_MS / tpm;
  }

  /** The earliest time at which the next request may go. */
  next(now: number): number {
    return Math.max(now, this.#requestsPaidAt, this.#tokensPaidAt);
  }

  /** The limit that the next request waits for; null when it need not wait. */
  heldBy(now: number): keyof Rate | null {
    if (this.next(now) <= now) return null;
    return this.#tokensPaidAt > this.#requestsPaidAt ? "tpm" : "rpm";
  }

  /** Notes that a request of about `tokens` goes at `at`, which must not be before `next`. */
  take(at: number, tokens: number): void {
    this.#requestsPaidAt = at + this.#requestMs;
    this.#tokensPaidAt = Math.max(at, this.#tokensPaidAt) + tokens * this.#tokenMs;
  }

  /** Notes that requests used `tokens` more than estimated; a negative number means fewer. */
  settle(tokens: number): void {
    this.#tokensPaidAt += tokens * this.#tokenMs;
  }
}
