// Rates (rpm, tpm) that hold for all hosts of a run together. The driver gives out turns a short
// while ahead of their time, so that a host gets many of them by one small request and never holds
// enough of them to burst. Hosts that wait are served in rotation.

import type { PermitRequest } from "../model/permits.ts";
import { Pace, type Rate } from "../model/rate.ts";
import { joinKey } from "../recipe/key-path.ts";

/** Turns are given out this far ahead. A host that was frozen uses turns at most this late. */
const AHEAD_MS = 100;
/** Pause in which other hosts can ask, too, before turns are given out. */
const GATHER_MS = 10;
/** A host without a turn is answered after this long. If it still lives, it asks again. */
const ANSWER_MS = 1000;

/** Requests of one host for one model, and the promise that answers when they may be sent. */
interface Ask {
  readonly tokens: readonly number[];
  readonly waits: number[];
  readonly answer: (waits: readonly number[]) => void;
  readonly since: number;
}

export class Rates {
  readonly #models: ReadonlyMap<string, ModelTurns>;

  /** `rates` are by model. `now` answers with milliseconds of a steady clock. */
  constructor(rates: ReadonlyMap<string, Rate>, now: () => number = () => performance.now()) {
    this.#models = new Map(
      [...rates].map(([model, rate]) => [model, new ModelTurns(new Pace(rate), now)]),
    );
  }

  get models(): Iterable<string> {
    return this.#models.keys();
  }

  /** Recipe keys of the limits that hold requests back now. */
  get waitedFor(): string[] {
    return [...this.#models].flatMap(([model, turns]) => {
      const limit = turns.waitedFor;
      return limit === null ? [] : [`${joinKey("models", model)}.${limit}`];
    });
  }

  /**
   * Resolves with the waits, in milliseconds from now, of the first requests that have their turn
   * soon; after ANSWER_MS with none.
   */
  async ask(model: string, wanted: PermitRequest): Promise<readonly number[]> {
    // A host of an earlier driver may ask for a model that has no rate any more.
    return (await this.#models.get(model)?.ask(wanted)) ?? wanted.tokens.map(() => 0);
  }

  /** Answers everything that waits. */
  stop(): void {
    for (const turns of this.#models.values()) turns.stop();
  }
}

class ModelTurns {
  readonly #pace: Pace;
  readonly #now: () => number;
  /** One entry for each request of a host that waits; the first gets the next turn. */
  #asks: Ask[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(pace: Pace, now: () => number) {
    this.#pace = pace;
    this.#now = now;
  }

  get waitedFor(): keyof Rate | null {
    return this.#asks.length === 0 ? null : this.#pace.heldBy(this.#now());
  }

  ask({ tokens, settled }: PermitRequest): Promise<readonly number[]> {
    if (settled !== 0) {
      this.#pace.settle(settled);
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#look();
    }
    if (tokens.length === 0) return Promise.resolve([]);
    return new Promise((answer) => {
      this.#asks.push({ tokens, waits: [], answer, since: this.#now() });
      this.#look();
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
    for (const { answer, waits } of this.#asks) answer(waits);
    this.#asks = [];
  }

  #look(): void {
    if (this.#timer !== undefined || this.#asks.length === 0) return;
    const now = this.#now();
    // Half of the turns that were given out ahead are left by then, so the next answer is in time.
    const soon = this.#pace.next(now) - AHEAD_MS / 2 - now;
    const patience = (this.#asks[0]?.since ?? now) + ANSWER_MS - now;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#giveOut();
        this.#look();
      },
      Math.max(GATHER_MS, Math.min(patience, soon)),
    );
  }

  #giveOut(): void {
    const now = this.#now();
    const full: Ask[] = [];
    for (let at = this.#pace.next(now); at <= now + AHEAD_MS; at = this.#pace.next(now)) {
      const ask = this.#asks.shift();
      if (ask === undefined) break;
      this.#pace.take(at, ask.tokens[ask.waits.length] ?? 0);
      ask.waits.push(at - now);
      (ask.waits.length === ask.tokens.length ? full : this.#asks).push(ask);
    }
    const open: Ask[] = [];
    for (const ask of [...full, ...this.#asks]) {
      if (ask.waits.length > 0 || now - ask.since >= ANSWER_MS) ask.answer(ask.waits);
      else open.push(ask);
    }
    this.#asks = open;
  }
}
