// The rows of a dataset, read as a run reads them.

import { findFiles } from "../../src/dataset/files.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { scanDataset } from "../../src/dataset/scan.ts";
import type { DatasetRow, DatasetSource } from "../../src/dataset/source.ts";

/** The whole of `path`, in order, with ids that count from 0. */
export async function sourceOf(
  path: string,
  more: Partial<DatasetSource> = {},
): Promise<DatasetSource> {
  const files = await findFiles([path], undefined);
  return {
    files,
    columns: null,
    idField: null,
    filter: null,
    limit: null,
    shuffle: null,
    shard: null,
    ...more,
  };
}

/** All rows that a run over `source` draws, in the order in which it draws them. */
export async function readRows(source: DatasetSource): Promise<DatasetRow[]> {
  const { rows } = await scanDataset(source, { trials: 1 });
  const stream = await openDataset(source, rows);
  const all: DatasetRow[] = [];
  for (let row = await stream.next(); row !== null; row = await stream.next()) all.push(row);
  await stream.close();
  return all;
}
