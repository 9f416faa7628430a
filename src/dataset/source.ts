// A dataset as a run reads it: its files, the field that names a row, filter, limit and shard. Rows
// come in order and in batches.

import { MatrixError, messageOf, type Problem } from "../error.ts";
import type { Shard } from "../recipe/unit.ts";
import { ExactNumber } from "../task/exact.ts";
import type { JsonObject } from "../task/json.ts";
import type { DataFile } from "./files.ts";
import { type Item, readItems } from "./read.ts";

export interface DatasetSource {
  readonly files: readonly DataFile[];
  /** The fields that rows keep; null for all. */
  readonly columns: readonly string[] | null;
  /** The field with the id of a row; null to use the row's number. */
  readonly idField: string | null;
  /** A row for which it is false is not part of the dataset. */
  readonly filter: ((row: JsonObject) => boolean) | null;
  readonly limit: number | null;
  /** The seed of the order; null for the order of the files. */
  readonly shuffle: number | null;
  /** The run has the rows whose number modulo `count` is `index`; null for all rows. */
  readonly shard: Shard | null;
}

export interface DatasetRow {
  readonly id: string;
  /** Counts from 0 over all files, before the filter. */
  readonly number: number;
  readonly row: JsonObject;
  /** The only trial of the row to run; unset for all trials of the run. */
  readonly trial?: number;
  /** The seed of that trial; unset where it follows from the run's seed. */
  readonly seed?: number;
}

/** A row with its place in the files, or the problem with it. */
export interface Drawn {
  readonly item: Item;
  readonly row: DatasetRow | null;
  readonly problem: Problem | null;
}

/** All rows that pass the filter, in the order of the files. Limit and shard are not applied. */
export async function* drawAll({
  files,
  columns,
  idField,
  filter,
}: DatasetSource): AsyncGenerator<readonly Drawn[]> {
  let number = 0;
  for await (const items of readItems(files, columns)) {
    const drawn: Drawn[] = [];
    for (const item of items) {
      const one = draw(item, number++, idField, filter);
      if (one !== null) drawn.push(one);
    }
    if (drawn.length > 0) yield drawn;
  }
}

/** One item as a row; null when the filter drops it. */
function draw(
  item: Item,
  number: number,
  idField: string | null,
  filter: DatasetSource["filter"],
): Drawn | null {
  if (item.row === null)
    return { item, row: null, problem: problemAt(item, item.problem ?? "the row cannot be read") };
  try {
    if (filter !== null && !filter(item.row)) return null;
  } catch (cause) {
    return { item, row: null, problem: problemAt(item, `dataset.filter: ${messageOf(cause)}`) };
  }
  if (idField === null)
    return { item, row: { id: String(number), number, row: item.row }, problem: null };
  const id = item.row[idField];
  if (
    (typeof id === "string" && id !== "") ||
    typeof id === "number" ||
    typeof id === "bigint" ||
    id instanceof ExactNumber
  )
    return { item, row: { id: String(id), number, row: item.row }, problem: null };
  const found =
    id === undefined
      ? `fields: ${Object.keys(item.row).join(", ")}`
      : `found ${JSON.stringify(id)}`;
  return {
    item,
    row: null,
    problem: problemAt(
      item,
      `the row has no id in "${idField}", which must be text or a number; ${found}`,
    ),
  };
}

/**
 * True when the row belongs to the run's shard. Filter, shuffle and limit do not change a row's
 * number, so no two shards share a row.
 */
export function isInShard({ shard }: DatasetSource, number: number): boolean {
  return shard === null || number % shard.count === shard.index;
}

export function problemAt({ file, line }: Pick<Item, "file" | "line">, message: string): Problem {
  return { file, ...(line === undefined ? {} : { line }), message };
}

/** The error for a dataset that is no longer the one that the run was started with. */
export function datasetGone(message: string, cause?: unknown): MatrixError {
  return new MatrixError(
    "dataset_gone",
    `the dataset has changed since the run began: ${message}`,
    {
      hint: "restore the dataset and run the same command again; finished records are kept",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
