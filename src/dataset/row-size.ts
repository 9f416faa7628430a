// The size of the row that is being read, and batches of rows by their size. The lists and texts of
// a small file may all refer to the same values, so a file says nothing about the size of its
// rows.

import type { JsonObject } from "../task/json.ts";
import { LINE_BYTES_MAX } from "./lines.ts";

/** Bytes that a value of a list counts at least. */
const ITEM_BYTES = 8;
/** The most rows of a batch, and the bytes at which a batch ends with the row that reaches them. */
const BATCH_ROWS = 256;
const BATCH_BYTES = 4 * 2 ** 20;

/** A row, or what is wrong with it. */
export type Row = JsonObject | string;

export class RowSize {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax = LINE_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes of the row so far. */
  get bytes(): number {
    return this.#bytes;
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

  /** Adds texts, bytes, and lists and objects of them. */
  addValue(value: unknown): void {
    if (typeof value === "string") this.addBytes(value.length);
    else if (ArrayBuffer.isView(value)) this.addBytes(value.byteLength);
    else if (Array.isArray(value)) {
      this.addItems(value.length);
      for (const item of value) this.addValue(item);
    } else if (typeof value === "object" && value !== null) {
      for (const key in value) this.addValue((value as Record<string, unknown>)[key]);
    } else this.addItems(1);
  }
}

/** Batches of `count` rows, each of which `rowAt` makes and measures in `size`. */
export function* batchesOf(
  count: number,
  rowAt: (row: number) => Row,
  size: RowSize,
): Generator<readonly Row[]> {
  let batch: Row[] = [];
  let bytes = 0;
  for (let row = 0; row < count; row++) {
    batch.push(rowAt(row));
    bytes += size.bytes;
    if (batch.length < BATCH_ROWS && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
