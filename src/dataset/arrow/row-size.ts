// The size of the row that is being read. The lists and texts of a small file may all refer to the
// same values, so a file tells nothing about the size of its rows.

import { LINE_BYTES_MAX } from "../lines.ts";

/** Bytes that a value of a list counts at least. */
const ITEM_BYTES = 8;

export class RowSize {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax = LINE_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Begins the next row. */
  begin(): void {
    this.#bytes = 0;
  }

  /** Fails when the row is too large. */
  addItems(count: number): void {
    this.addBytes(count * ITEM_BYTES);
  }

  addBytes(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax)
      throw new Error(
        `the row has more than the ${this.#bytesMax / 2 ** 20} MiB that a row may have`,
      );
  }
}
