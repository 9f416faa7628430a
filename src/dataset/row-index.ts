// An index of the rows of a dataset: where each row is, in 22 bytes. The index is kept in columns
// that grow, because an object for each row would take several times the memory.

import { createRandom, deriveSeed } from "../task/seed.ts";

const INITIAL_ROWS = 1024;

export interface RowPlace {
  /** The index of its file. */
  readonly file: number;
  /** The position of its first byte in the file. */
  readonly offset: number;
  readonly bytes: number;
  /** The row's number in the dataset. */
  readonly number: number;
}

export class RowIndex {
  #offsets = new Float64Array(INITIAL_ROWS);
  #numbers = new Float64Array(INITIAL_ROWS);
  #bytes = new Uint32Array(INITIAL_ROWS);
  #files = new Uint16Array(INITIAL_ROWS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(file: number, offset: number, bytes: number, number: number): void {
    if (this.#size === this.#offsets.length) this.#grow();
    this.#files[this.#size] = file;
    this.#offsets[this.#size] = offset;
    this.#bytes[this.#size] = bytes;
    this.#numbers[this.#size] = number;
    this.#size++;
  }

  at(i: number): RowPlace {
    return {
      file: this.#files[i] ?? 0,
      offset: this.#offsets[i] ?? 0,
      bytes: this.#bytes[i] ?? 0,
      number: this.#numbers[i] ?? 0,
    };
  }

  /** All positions in an order that the seed decides (Fisher and Yates). */
  permutation(seed: number): Uint32Array {
    const order = new Uint32Array(this.#size).map((_, i) => i);
    const random = createRandom(deriveSeed(seed, "shuffle"));
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      const [a, b] = [order[i] as number, order[j] as number];
      order[i] = b;
      order[j] = a;
    }
    return order;
  }

  #grow(): void {
    const moved = <T extends Float64Array | Uint32Array | Uint16Array>(from: T, into: T): T => {
      into.set(from);
      return into;
    };
    const length = this.#size * 2;
    this.#offsets = moved(this.#offsets, new Float64Array(length));
    this.#numbers = moved(this.#numbers, new Float64Array(length));
    this.#bytes = moved(this.#bytes, new Uint32Array(length));
    this.#files = moved(this.#files, new Uint16Array(length));
  }
}
