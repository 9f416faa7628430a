// The rows of a scanned dataset, one at a time. A row that is in memory is given at once and not as
// a promise, because the driver draws tens of thousands of rows a second.

import { messageOf } from "../error.ts";
import { type SelectedRows, shuffleRows } from "./shuffle.ts";
import { type DatasetRow, type DatasetSource, datasetGone, drawAll, isInShard } from "./source.ts";

export interface RowStream {
  /** The next row, or a promise of it; null at the end. Fails with `dataset_gone`. */
  next(): DatasetRow | null | Promise<DatasetRow | null>;
  close(): Promise<void>;
}

/**
 * Opens the rows of a run. `rows` is the number that the scan counted: a dataset with fewer rows is
 * an error, and further rows are not read.
 */
export async function openDataset(source: DatasetSource, rows: number): Promise<RowStream> {
  const selected = await selectRows(source);
  return new BatchedRows(selected.rows, rows, selected.close);
}

/**
 * The rows of a run. The limit counts rows after filter and shuffle and before the shard is taken,
 * so that the shards of a run have exactly the rows of the whole run together.
 */
export async function selectRows(source: DatasetSource): Promise<SelectedRows> {
  if (source.shuffle !== null) return shuffleRows(source, source.shuffle);
  return { rows: rowsInOrder(source), close: async () => undefined };
}

/** A stream of the first `total` rows of batches. `release` runs when the stream is closed. */
export class BatchedRows implements RowStream {
  readonly #batches: AsyncIterator<readonly DatasetRow[]>;
  readonly #total: number;
  readonly #release: () => Promise<void>;
  #batch: readonly DatasetRow[] = [];
  #index = 0;
  #given = 0;

  constructor(
    batches: AsyncGenerator<readonly DatasetRow[]>,
    total: number,
    release: () => Promise<void>,
  ) {
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

async function* rowsInOrder(source: DatasetSource): AsyncGenerator<readonly DatasetRow[]> {
  let left = source.limit ?? Number.POSITIVE_INFINITY;
  for await (const batch of drawAll(source)) {
    const rows: DatasetRow[] = [];
    for (const { row, problem } of batch) {
      if (left-- <= 0) break;
      if (row === null)
        throw new Error(`${problem?.file}:${problem?.line ?? ""} ${problem?.message}`);
      if (isInShard(source, row.number)) rows.push(row);
    }
    if (rows.length > 0) yield rows;
    if (left <= 0) return;
  }
}
