// Claims: which process makes a request now. Each process notes in the journal that it begins a
// request, and so a step that may be a repetition waits for the answer of a living process instead
// of paying for a second one.
//
// A step that may be a repetition first notes that it wants to make the request. When several want
// to at the same moment, they see each other's notes a little later, and the one whose name comes
// first goes on. A process that has begun the request comes before all that only want to.

import { setTimeout as pause } from "node:timers/promises";
import type { ChatAnswer } from "../contract.ts";
import type { AnswerIndex } from "./answer-index.ts";
import { encodeNote } from "./answer-line.ts";

/** Interval of looks for the answer to a request that another process makes. */
const LOOK_MS = 100;
/** After this time, processes that began at the same moment have written their notes. */
const SETTLE_MS = 20;
/**
 * The longest wait for the answer of a living process. It may be unable to keep the answer, and
 * then a second request is better than none.
 */
const WAIT_MS_MAX = 60_000;
/** A process that is not on the list is dead, unless it joined so recently. */
const UNKNOWN_MS_MAX = 500;

export interface ClaimsOptions {
  /** The name of this process. */
  readonly self: string;
  readonly index: AnswerIndex;
  /** Brings the index up to date. */
  readonly scan: () => Promise<void>;
  /** Resolves when other processes can read the line. */
  readonly append: (line: string) => Promise<void>;
  /** Tells whether the process of that name takes part in the run. */
  readonly isWriting: (writer: string) => boolean;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
}

export class Claims {
  readonly #options: ClaimsOptions;
  /** Requests that this process makes. */
  readonly #own = new Set<string>();

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /** Notes that this process makes the request. Resolves when other processes can see it. */
  claim(key: string): Promise<void> {
    this.#own.add(key);
    return this.#options.append(encodeNote(key, "asked"));
  }

  /** Notes that this process will keep no answer to the request. */
  drop(key: string): void {
    this.#own.delete(key);
    void this.#options.append(encodeNote(key, "dropped"));
  }

  /** This process has kept the answer. */
  fulfil(key: string): void {
    this.#own.delete(key);
  }

  /** Resolves with the kept answer, or with null when this process has the claim. */
  async settle(key: string, signal: AbortSignal | undefined): Promise<ChatAnswer | null> {
    const { index, scan, now } = this.#options;
    const since = now();
    for (;;) {
      const kept = await index.find(key);
      if (kept !== null) return kept.answer;
      if (
        !this.#own.has(key) &&
        this.#askers(key, since).length + this.#wanters(key, since).length === 0
      ) {
        const outcome = await this.#tryToClaim(key, since, signal);
        if (outcome !== "outbid") return outcome;
      }
      await pause(LOOK_MS, undefined, withSignal(signal));
      await scan();
    }
  }

  async #tryToClaim(
    key: string,
    since: number,
    signal: AbortSignal | undefined,
  ): Promise<ChatAnswer | null | "outbid"> {
    const { self, index, scan, append } = this.#options;
    this.#own.add(key);
    void append(encodeNote(key, "wanted"));
    try {
      await pause(SETTLE_MS, undefined, withSignal(signal));
      await scan();
      const kept = await index.find(key);
      const isFirst =
        this.#askers(key, since).length === 0 &&
        this.#wanters(key, since).every((other) => other > self);
      if (kept === null && isFirst) {
        await this.claim(key);
        return null;
      }
      this.drop(key);
      return kept?.answer ?? "outbid";
    } catch (thrown) {
      this.drop(key);
      throw thrown;
    }
  }

  /** Other processes whose answer may still come. */
  #askers(key: string, since: number): readonly string[] {
    return this.#alive(this.#options.index.askersOf(key), since);
  }

  /** Other processes that may begin the request. */
  #wanters(key: string, since: number): readonly string[] {
    return this.#alive(this.#options.index.wantersOf(key), since);
  }

  #alive(processes: readonly string[], since: number): readonly string[] {
    const { self, isWriting, now } = this.#options;
    const waitedMs = now() - since;
    return processes.filter(
      (other) => other !== self && waitedMs < (isWriting(other) ? WAIT_MS_MAX : UNKNOWN_MS_MAX),
    );
  }
}

function withSignal(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
