// A set of (row id, trial). It keeps a fingerprint of 64 bits for each entry and not the id: 13 to
// 27 bytes an entry once it has grown. Among n ids, any two share a fingerprint with a probability
// of n² / 2^65: 1 in 4 million among three million ids.

import { beginHash, hash64 } from "./seed.ts";

/** The hash of the texts that begin with trial 0. */
const BEGUN = beginHash("0:");
const INITIAL_SLOTS = 1024;
const FILL_MAX = 0.6;

export class IdSet {
  #low = new Uint32Array(INITIAL_SLOTS);
  #high = new Uint32Array(INITIAL_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds an entry. Answers false when the set had it already. */
  add(id: string, trial = 0): boolean {
    return this.addFingerprint(...fingerprint(id, trial));
  }

  /** Adds an entry by its fingerprint. */
  addFingerprint(low: number, high: number): boolean {
    const slot = this.#find(low, high);
    if (this.#low[slot] !== 0) return false;
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#size++;
    if (this.#size > this.#low.length * FILL_MAX) this.#grow();
    return true;
  }

  has(id: string, trial = 0): boolean {
    const [low, high] = fingerprint(id, trial);
    return this.#low[this.#find(low, high)] !== 0;
  }

  /** The slot that holds the fingerprint, or the free slot where it belongs. */
  #find(low: number, high: number): number {
    const mask = this.#low.length - 1;
    let slot = high & mask;
    while (this.#low[slot] !== 0 && (this.#low[slot] !== low || this.#high[slot] !== high))
      slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const [lows, highs] = [this.#low, this.#high];
    this.#low = new Uint32Array(lows.length * 2);
    this.#high = new Uint32Array(lows.length * 2);
    for (let i = 0; i < lows.length; i++) {
      const low = lows[i] as number;
      const high = highs[i] as number;
      if (low === 0) continue;
      const slot = this.#find(low, high);
      this.#low[slot] = low;
      this.#high[slot] = high;
    }
  }
}

/** The fingerprint of an entry. Its low lane is never 0, because 0 marks a free slot. */
export function fingerprint(id: string, trial: number): readonly [low: number, high: number] {
  // The text is not put together for the trial that most tasks have.
  const [low, high] = trial === 0 ? hash64(id, BEGUN) : hash64(`${trial}:${id}`);
  return [low === 0 ? 1 : low, high];
}
