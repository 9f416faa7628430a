// One number for a set of (row id, trial), the same in any order. The digest of what a run expects
// and the digest of what its records hold must be equal.

import { hash64 } from "./seed.ts";

/**
 * The salt of digests. It differs from that of IdSet, so ids that clash there do not clash here.
 */
const SALT = 0x5bd1e995;
const LANE = 0x1_0000_0000;

export class IdDigest {
  #low = 0;
  #high = 0;

  add(id: string, trial: number): void {
    const [low, high] = hash64(`${trial}:${id}`, SALT);
    this.#low = (this.#low + low) % LANE;
    this.#high = (this.#high + high) % LANE;
  }

  /** 16 hexadecimal digits. */
  get hex(): string {
    return [this.#high, this.#low].map((lane) => lane.toString(16).padStart(8, "0")).join("");
  }
}
