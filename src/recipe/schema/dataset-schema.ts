// [dataset]: where rows come from, and which of them a run has.

import * as v from "valibot";
import { parseShard, type Shard } from "../unit.ts";
import { count, described, expression, flag, rowsPath, text } from "./value-schema.ts";

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

const ENCODING = 'an encoding such as "utf-8", "latin1" or "shift_jis"';

const csv = v.pipe(
  v.strictObject({
    delimiter: v.optional(
      described(
        v.pipe(v.string(), v.regex(/^[^\r\n]+$/, "characters within a line"), v.title("text")),
        "What stands between two fields. Unset, a comma, and a tab in files of TSV.",
        ";",
      ),
    ),
    quote: v.optional(
      described(
        v.pipe(v.string(), v.maxLength(1, "one character, or none"), v.title("text")),
        "The character around fields, which is doubled within them. Empty, fields have no quotes.",
        "'",
      ),
      '"',
    ),
    encoding: v.optional(
      described(
        v.pipe(v.string(), v.check(isEncoding, ENCODING), v.title("text")),
        "The encoding of the files: a label of the Encoding Standard (encoding.spec.whatwg.org).",
        "latin1",
      ),
      "utf-8",
    ),
    header: v.optional(
      described(
        v.pipe(
          v.union(
            [v.boolean(), v.pipe(v.array(text), v.minLength(1, "at least one name"))],
            "true, false, or a list of names",
          ),
          v.title("true, false, or list of texts"),
        ),
        "True when the first line names the columns. Otherwise the first line is a row, and the " +
          "list names the columns; with false their names are 0, 1, 2 and so on.",
        ["question", "answer"],
      ),
      true,
    ),
  }),
  // A field in quotes would end at every delimiter.
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { delimiter = "", quote } = dataset.value;
    if (quote === "" || !delimiter.includes(quote)) return;
    addIssue({
      message: "characters without the quote",
      input: delimiter,
      path: [
        {
          ...{ type: "object", origin: "value", key: "delimiter", value: delimiter },
          input: dataset.value as Record<string, unknown>,
        },
      ],
    });
  }),
  v.description("How files of CSV and TSV are written. See [CSV](data-in.md#csv)."),
);

function isEncoding(label: string): boolean {
  try {
    return new TextDecoder(label as ConstructorParameters<typeof TextDecoder>[0]).encoding !== "";
  } catch {
    return false;
  }
}

export const dataset = v.strictObject({
  path: described(
    v.pipe(
      v.union(
        [rowsPath, v.pipe(v.array(rowsPath), v.minLength(1, "a path or several"))],
        "a path or several",
      ),
      v.title("path, or list of paths"),
    ),
    "A file, a folder, a glob, a dataset of the hub (`hf://OWNER/NAME`), or a list of them.",
    "data/*.jsonl.zst",
  ),
  format: v.optional(
    described(
      v.picklist(["jsonl", "json", "csv", "tsv", "parquet", "arrow"]),
      "The format of the files. Unset, the name of each file tells it.",
      "jsonl",
    ),
  ),
  csv: v.optional(csv),
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
