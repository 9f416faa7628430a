// [dataset]: where rows come from, and which of them a run has.

import * as v from "valibot";
import { parseShard, type Shard } from "../unit.ts";
import { count, described, expression, flag, path, text } from "./value-schema.ts";

const SHARD = 'a shard "INDEX/COUNT" with INDEX from 0, such as "0/4"';
const shard = v.pipe(
  v.string(SHARD),
  v.rawTransform<string, Shard>(({ dataset, addIssue, NEVER }) => {
    const shard = parseShard(dataset.value);
    if (shard !== null && shard.index < shard.count) return shard;
    // An index past the end was most likely counted from 1, so the message says where to begin.
    addIssue({
      message:
        shard === null
          ? SHARD
          : `"0/${shard.count}" to "${shard.count - 1}/${shard.count}", counted from 0`,
    });
    return NEVER;
  }),
  v.title("`INDEX/COUNT`"),
);

export const dataset = v.strictObject({
  path: described(
    v.pipe(
      v.union(
        [path, v.pipe(v.array(path), v.minLength(1, "a path or several"))],
        "a path or several",
      ),
      v.title("path, or list of paths"),
    ),
    "A file, a folder, a glob, a dataset of the hub (`hf://OWNER/NAME`), or a list of them.",
    "data/*.jsonl.zst",
  ),
  format: v.optional(
    described(
      v.picklist(["jsonl", "json", "csv", "parquet"]),
      "The format of the files. Unset, the name of each file tells it.",
      "jsonl",
    ),
  ),
  columns: v.optional(
    described(
      v.pipe(v.array(text), v.minLength(1, "at least one column")),
      "The only fields that rows have. Unset, rows have all fields of the files.",
      ["key", "lang", "question"],
    ),
  ),
  id: v.optional(
    described(
      text,
      "The field that names a row. Its value is text or a number, and different for each row. " +
        "Unset, a row is named by its number, from 0.",
      "key",
    ),
  ),
  limit: v.optional(
    described(
      count,
      "The most rows of the run, counted after filter and shuffle, over all shards. " +
        "Unset, there is no limit.",
      1000,
    ),
  ),
  shuffle: v.optional(
    described(flag, "Puts all rows in a random order that depends on `run.seed` alone.", true),
    false,
  ),
  filter: v.optional(
    described(
      expression,
      "An expression over `row`. A row for which it is not true becomes no task.",
      "row.lang == 'en'",
    ),
  ),
  shard: v.optional(
    described(
      shard,
      "The part of the run's rows that this driver has: the rows whose number modulo COUNT is " +
        "INDEX, from 0. Each shard needs a driver and a run directory of its own. " +
        "Unset, the driver has all rows.",
      "0/4",
    ),
  ),
});
