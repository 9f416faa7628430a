// The pace of one model's requests: so many a minute, so many tokens a minute, evenly spaced. Pure:
// time is passed in. Nothing is saved up while nobody asks, so that no minute has more than its
// share: not the first one, and not the one after a restart.
//
// A request goes when what went before it is paid off at the model's rate. One that is larger than
// a whole minute's tokens goes too, alone, and is paid off afterwards.

const MINUTE_MS = 60_000;

/** Unset: without a limit. */
export interface Rate {
  /** Requests a minute. */
  readonly rpm?: number | undefined;
  /** Tokens a minute, of prompts and completions together. */
  readonly tpm?: number | undefined;
}

/** Times in milliseconds of any steady clock. */
export class Pace {
  readonly #requestMs: number;
  readonly #tokenMs: number;
  #requestsPaidAt = Number.NEGATIVE_INFINITY;
  #tokensPaidAt = Number.NEGATIVE_INFINITY;

  constructor({ rpm, tpm }: Rate) {
    this.#requestMs = rpm === undefined ? 0 : MINUTE_MS / rpm;
    this.#tokenMs = tpm === undefined ? 0 : MINUTE_MS / tpm;
  }

  /** When the next request may go, at the earliest. */
  next(now: number): number {
    return Math.max(now, this.#requestsPaidAt, this.#tokensPaidAt);
  }

  /** What the next request waits for; null where it need not wait. */
  heldBy(now: number): keyof Rate | null {
    if (this.next(now) <= now) return null;
    return this.#tokensPaidAt > this.#requestsPaidAt ? "tpm" : "rpm";
  }

  /** A request of about so many tokens goes at that time, which is not before `next`. */
  take(at: number, tokens: number): void {
    this.#requestsPaidAt = at + this.#requestMs;
    this.#tokensPaidAt = Math.max(at, this.#tokensPaidAt) + tokens * this.#tokenMs;
  }

  /** Requests came to so many tokens more than was thought, or fewer. */
  settle(tokens: number): void {
    this.#tokensPaidAt += tokens * this.#tokenMs;
  }
}
