// Sums over the trials of each row, in 24 bytes a slot. A row is known by 64 bits of its id's hash:
// among n rows, any two share them with a probability of n² / 2^65.

import { hash64 } from "../../task/seed.ts";

/** The scores of one row. Trials that failed or were not scored are in none of the counts. */
export interface RowSums {
  readonly scored: number;
  readonly successes: number;
  readonly sum: number;
}

const INITIAL_SLOTS = 64;
const FILL_MAX = 0.6;

export class RowTable {
  #slots = new Slots(INITIAL_SLOTS);
  #size = 0;

  /** Adds to the sums of a row. */
  add(id: string, { scored, successes, sum }: RowSums): void {
    const [low, high] = hash64(id);
    // 0 marks a free slot.
    const slot = this.#slots.find(low === 0 ? 1 : low, high);
    if (this.#slots.take(slot, low === 0 ? 1 : low, high)) this.#size++;
    this.#slots.scored[slot] = (this.#slots.scored[slot] as number) + scored;
    this.#slots.successes[slot] = (this.#slots.successes[slot] as number) + successes;
    this.#slots.sum[slot] = (this.#slots.sum[slot] as number) + sum;
    if (this.#size > this.#slots.low.length * FILL_MAX) this.#slots = this.#slots.doubled();
  }

  *rows(): Generator<RowSums> {
    const { low, scored, successes, sum } = this.#slots;
    for (let slot = 0; slot < low.length; slot++)
      if (low[slot] !== 0)
        yield {
          scored: scored[slot] as number,
          successes: successes[slot] as number,
          sum: sum[slot] as number,
        };
  }
}

/** Slots by open addressing; their number is a power of two. */
class Slots {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
  readonly scored: Uint32Array;
  readonly successes: Uint32Array;
  readonly sum: Float64Array;

  constructor(count: number) {
    this.low = new Uint32Array(count);
    this.high = new Uint32Array(count);
    this.scored = new Uint32Array(count);
    this.successes = new Uint32Array(count);
    this.sum = new Float64Array(count);
  }

  /** The slot with this hash, or the free slot where it belongs. */
  find(low: number, high: number): number {
    const mask = this.low.length - 1;
    let slot = high & mask;
    while (this.low[slot] !== 0 && (this.low[slot] !== low || this.high[slot] !== high))
      slot = (slot + 1) & mask;
    return slot;
  }

  /** Marks a slot with a hash. Answers false when it had it already. */
  take(slot: number, low: number, high: number): boolean {
    const isFree = this.low[slot] === 0;
    this.low[slot] = low;
    this.high[slot] = high;
    return isFree;
  }

  doubled(): Slots {
    const larger = new Slots(this.low.length * 2);
    for (let from = 0; from < this.low.length; from++) {
      const low = this.low[from] as number;
      if (low === 0) continue;
      const high = this.high[from] as number;
      const to = larger.find(low, high);
      larger.take(to, low, high);
      larger.scored[to] = this.scored[from] as number;
      larger.successes[to] = this.successes[from] as number;
      larger.sum[to] = this.sum[from] as number;
    }
    return larger;
  }
}
