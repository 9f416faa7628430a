// A dataset as a run reads it: files, the field that names a row, the filter, the limit, the shard. Rows in order, in batches.

import { MatrixError, messageOf, type Problem } from "../error.ts";
import type { Shard } from "../recipe/unit.ts";
import type { JsonObject } from "../task/json.ts";
import type { DataFile } from "./files.ts";
import { type Item, readItems } from "./read.ts";

export interface DatasetSource {
  readonly files: readonly DataFile[];
  /** The fields that rows have, of all that are in the files; null: all. */
  readonly columns: readonly string[] | null;
  /** The field that names a row; null: its number. */
  readonly idField: string | null;
  /** Rows for which it is false are not part of the dataset. */
  readonly filter: ((row: JsonObject) => boolean) | null;
  readonly limit: number | null;
  /** The seed of the order; null: as in the files. */
  readonly shuffle: number | null;
  /** Of the run's rows, those whose number modulo `count` is `index`; null: all. */
  readonly shard: Shard | null;
}

export interface DatasetRow {
  readonly id: string;
  /** From 0 over all files, before the filter. */
  readonly number: number;
  readonly row: JsonObject;
  /** The only one that is wanted of it; unset, all of the run's. */
  readonly trial?: number;
}

/** A row with where it came from, or what is wrong with it. */
export interface Drawn {
  readonly item: Item;
  readonly row: DatasetRow | null;
  readonly problem: Problem | null;
}

/** Everything that the filter lets through, in the order of the files, without a limit, of all shards. */
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
  if ((typeof id === "string" && id !== "") || typeof id === "number")
    return { item, row: { id: String(id), number, row: item.row }, problem: null };
  const found =
    id === undefined
      ? `fields: ${Object.keys(item.row).join(", ")}`
      : `found ${JSON.stringify(id)}`;
  return {
    item,
    row: null,
    problem: problemAt(item, `the row has no id in "${idField}" (text or a number); ${found}`),
  };
}

/** By the row's number, which neither filter nor shuffle nor limit changes: shards share no row. */
export function isInShard({ shard }: DatasetSource, number: number): boolean {
  return shard === null || number % shard.count === shard.index;
}

export function problemAt({ file, line }: Pick<Item, "file" | "line">, message: string): Problem {
  return { file, ...(line === undefined ? {} : { line }), message };
}

/** The dataset is not what it was when the run began. */
export function datasetGone(message: string, cause?: unknown): MatrixError {
  return new MatrixError("dataset_gone", `the dataset changed under the run: ${message}`, {
    hint: "bring it back and run the same command again; what is recorded stays",
    ...(cause === undefined ? {} : { cause }),
  });
}
