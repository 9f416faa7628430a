// The rows of a scanned dataset, one at a time. A row that is at hand is given at once, without a promise: the runtime draws
// tens of thousands a second.

import { messageOf } from "../error.ts";
import { type SelectedRows, shuffleRows } from "./shuffle.ts";
import { type DatasetRow, type DatasetSource, datasetGone, drawAll, isInShard } from "./source.ts";

export interface RowStream {
  /** The next row, now or later; null at the end. Fails with `dataset_gone`. */
  next(): DatasetRow | null | Promise<DatasetRow | null>;
  close(): Promise<void>;
}

/** `rows` is what the scan counted: fewer is an error, more are not read. */
export async function openDataset(source: DatasetSource, rows: number): Promise<RowStream> {
  const selected = await selectRows(source);
  return new BatchedRows(selected.rows, rows, selected.close);
}

/**
 * The rows of a run. A limit counts after filter and shuffle and before the shard: whatever it is, the shards of a run together
 * have exactly the rows of the whole run.
 */
export async function selectRows(source: DatasetSource): Promise<SelectedRows> {
  if (source.shuffle !== null) return shuffleRows(source, source.shuffle);
  return { rows: rowsInOrder(source), close: async () => undefined };
}

/** A stream of so many rows out of batches. */
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
