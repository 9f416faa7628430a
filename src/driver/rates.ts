// Rates that hold for all hosts of a run together: the driver gives out turns, a short while ahead of their time, so that a host
// needs one small request for many of them and can never hold enough of them to burst. Hosts that wait take turns.

import type { PermitRequest } from "../model/permits.ts";
import { Pace, type Rate } from "../model/rate.ts";
import { joinKey } from "../recipe/key-path.ts";

/** How far ahead turns are given out: what a host that was stopped can be late with. */
const AHEAD_MS = 100;
/** Time for the others to ask, too. */
const GATHER_MS = 10;
/** An answer without a turn: who asks is heard of again, or was not there any more. */
const ANSWER_MS = 1000;

/** Requests that a host has for a model, and who is to be told when they may go. */
interface Ask {
  readonly tokens: readonly number[];
  readonly waits: number[];
  readonly answer: (waits: readonly number[]) => void;
  readonly since: number;
}

export class Rates {
  readonly #models: ReadonlyMap<string, ModelTurns>;

  /** `rates`: by model. `now`: milliseconds of a steady clock. */
  constructor(rates: ReadonlyMap<string, Rate>, now: () => number = () => performance.now()) {
    this.#models = new Map(
      [...rates].map(([model, rate]) => [model, new ModelTurns(new Pace(rate), now)]),
    );
  }

  get models(): Iterable<string> {
    return this.#models.keys();
  }

  /** The keys that requests wait for just now. */
  get waitedFor(): string[] {
    return [...this.#models].flatMap(([model, turns]) => {
      const limit = turns.waitedFor;
      return limit === null ? [] : [`${joinKey("models", model)}.${limit}`];
    });
  }

  /** Resolves when some of what is wanted has its turn soon, or after a while with nothing. */
  async ask(model: string, wanted: PermitRequest): Promise<readonly number[]> {
    // A host that was started by another driver may know other limits.
    return (await this.#models.get(model)?.ask(wanted)) ?? wanted.tokens.map(() => 0);
  }

  /** Nobody is kept waiting. */
  stop(): void {
    for (const turns of this.#models.values()) turns.stop();
  }
}

class ModelTurns {
  readonly #pace: Pace;
  readonly #now: () => number;
  /** One for each host that waits, the next turn's first. */
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
    // Half of what is given out ahead is left when it is looked at again: the next answer is there in time.
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
