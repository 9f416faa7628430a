// The rows of a scanned dataset, one at a time. A row that is at hand is given at once, without a promise: the runtime draws
// tens of thousands a second.

import { messageOf } from "../error.ts";
import { shuffleRows } from "./shuffle.ts";
import { type DatasetRow, type DatasetSource, type Drawn, datasetGone, drawAll } from "./source.ts";

export interface RowStream {
  /** The next row, now or later; null at the end. Fails with `dataset_gone`. */
  next(): DatasetRow | null | Promise<DatasetRow | null>;
  close(): Promise<void>;
}

/** `rows` is what the scan counted: fewer is an error, more are not read. A limit counts after a shuffle. */
export async function openDataset(source: DatasetSource, rows: number): Promise<RowStream> {
  const total = Math.min(rows, source.limit ?? rows);
  if (source.shuffle === null) return new BatchedRows(rowsOf(drawAll(source)), total);
  const shuffled = await shuffleRows(source, source.shuffle);
  return new BatchedRows(shuffled.rows, total, shuffled.close);
}

class BatchedRows implements RowStream {
  readonly #batches: AsyncIterator<readonly DatasetRow[]>;
  readonly #total: number;
  readonly #release: () => Promise<void>;
  #batch: readonly DatasetRow[] = [];
  #index = 0;
  #given = 0;

  constructor(batches: AsyncGenerator<readonly DatasetRow[]>, total: number, release: () => Promise<void> = async () => undefined) {
    this.#batches = batches;
    this.#total = total;
    this.#release = release;
  }

  next(): DatasetRow | null | Promise<DatasetRow | null> {
    if (this.#given >= this.#total) return null;
    const row = this.#batch[this.#index];
    if (row === undefined) return this.#refill();
    this.#index++;
    this.#given++;
    return row;
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
    await this.#release();
  }

  async #refill(): Promise<DatasetRow | null> {
    let result: IteratorResult<readonly DatasetRow[]>;
    try {
      result = await this.#batches.next();
    } catch (cause) {
      throw datasetGone(messageOf(cause), cause);
    }
    if (result.done) throw datasetGone(`it has ${this.#given} rows now and had ${this.#total}`);
    this.#batch = result.value;
    this.#index = 0;
    return this.next();
  }
}

async function* rowsOf(batches: AsyncGenerator<readonly Drawn[]>): AsyncGenerator<readonly DatasetRow[]> {
  for await (const batch of batches) {
    const rows: DatasetRow[] = [];
    for (const { row, problem } of batch) {
      if (row !== null) rows.push(row);
      else throw new Error(`${problem?.file}:${problem?.line ?? ""} ${problem?.message}`);
    }
    yield rows;
  }
}
