// Rows of files, in order and in batches, from JSONL, a JSON array, CSV or Parquet, plain or
// compressed. Files are streamed and never held in memory whole.

import { createReadStream } from "node:fs";
import { messageOf } from "../error.ts";
import { cutDepth, DEPTH_MAX, isTooDeep } from "../task/depth.ts";
import { parseJson } from "../task/exact.ts";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { CSV_DEFAULTS, readCsvRows } from "./csv.ts";
import { decompress } from "./decompress.ts";
import type { DataFile } from "./files.ts";
import { splitArray } from "./json-array.ts";
import { LINE_BYTES_MAX, splitLines } from "./lines.ts";
import { readParquet } from "./parquet/read-parquet.ts";
import { repeatedKey } from "./repeated-key.ts";
import { decodeText, LineError } from "./text.ts";

const CHUNK_BYTES = 256 * 1024;

/** One item of a file: a row, or the problem with it. */
export interface Item {
  readonly file: string;
  /** From 1: the line, or the row's number in a Parquet file; undefined for the whole file. */
  readonly line: number | undefined;
  readonly row: JsonObject | null;
  readonly problem: string | null;
  /** The row as text: its line, or the row as JSON. */
  readonly text: string;
  /** The position of the line in an uncompressed JSONL file; 0 in other files. */
  readonly offset: number;
  /** The length of that line in bytes; 0 in other files. */
  readonly bytes: number;
}

/**
 * Items of all files in order. `columns` are the columns that rows keep; null for all. A file that
 * cannot be read to its end gives the problem as its last item.
 */
export async function* readItems(
  files: readonly DataFile[],
  columns: readonly string[] | null,
): AsyncGenerator<readonly Item[]> {
  for (const file of files) {
    try {
      if (file.format === "parquet" || file.format === "arrow") yield* readTyped(file, columns);
      else
        for await (const items of READERS[file.format](file))
          yield columns === null ? items : items.map((item) => pick(item, columns));
    } catch (cause) {
      const line = cause instanceof LineError ? cause.line : undefined;
      yield [broken(file, line, messageOf(cause))];
    }
  }
}

function open({ path, compression }: DataFile): AsyncIterable<Buffer> {
  return decompress(createReadStream(path, { highWaterMark: CHUNK_BYTES }), compression);
}

const READERS: Readonly<
  Record<
    Exclude<DataFile["format"], "parquet" | "arrow">,
    (file: DataFile) => AsyncGenerator<readonly Item[]>
  >
> = {
  jsonl: readJsonLines,
  json: readJsonArray,
  csv: readCsv,
  tsv: readCsv,
};

const TOO_LONG = `more than the ${LINE_BYTES_MAX / 2 ** 20} MiB that a row may have`;
const BYTE_ORDER_MARK = "\ufeff";

async function* readJsonLines(file: DataFile): AsyncGenerator<readonly Item[]> {
  for await (const lines of splitLines(open(file))) {
    const items: Item[] = [];
    for (const { text, number, offset, bytes, foreignAt, overlong } of lines) {
      const bare = number === 1 && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
      if (overlong) items.push(broken(file, number, `the line has ${bytes} bytes, ${TOO_LONG}`));
      else if (foreignAt !== null)
        items.push(
          broken(file, number, `the line is not UTF-8 at position ${foreignAt} of the file`),
        );
      else if (bare.trim() !== "")
        items.push({
          ...parseRow(file, { line: number, text: bare, kept: bare }, "line"),
          offset,
          bytes,
        });
    }
    if (items.length > 0) yield items;
  }
}

interface RowText {
  readonly line: number;
  readonly text: string;
  /** The text of the item; null for one that is made of the row, without line breaks. */
  readonly kept: string | null;
}

/** A row of JSON. `what` is the name of its text in messages. */
function parseRow(file: DataFile, { line, text, kept }: RowText, what: "line" | "row"): Item {
  let value: Json;
  try {
    value = parseJson(text) as Json;
  } catch (cause) {
    return broken(file, line, `the ${what} is not JSON: ${messageOf(cause)}`);
  }
  // The task of a row that is too deep fails, whatever its keys are.
  const twice = isTooDeep(value) ? null : repeatedKey(text, value);
  return twice === null
    ? itemOf(file, line, value, kept)
    : broken(file, line, `the ${what} has the key ${JSON.stringify(twice)} twice in one object`);
}

async function* readJsonArray(file: DataFile): AsyncGenerator<readonly Item[]> {
  const text = decodeText(() => open(file), "utf-8", "convert it to UTF-8");
  for await (const elements of splitArray(text, LINE_BYTES_MAX)) {
    const items = elements.map(({ line, text }) =>
      text === ""
        ? broken(file, line, "a row is missing beside a comma")
        : parseRow(file, { line, text, kept: null }, "row"),
    );
    if (items.length > 0) yield items;
  }
}

async function* readCsv(file: DataFile): AsyncGenerator<readonly Item[]> {
  const settings = file.csv ?? CSV_DEFAULTS;
  const delimiter = settings.delimiter ?? (file.format === "tsv" ? "\t" : ",");
  for await (const rows of readCsvRows(() => open(file), delimiter, settings))
    yield rows.map(({ line, row }) =>
      typeof row === "string" ? broken(file, line, row) : itemOf(file, line, row, null),
    );
}

/** Rows of a file whose columns have types. */
async function* readTyped(
  file: DataFile,
  columns: readonly string[] | null,
): AsyncGenerator<readonly Item[]> {
  let line = 0;
  // Few runs read Arrow, and its library is large.
  const read =
    file.format === "arrow" ? (await import("./arrow/read-arrow.ts")).readArrow : readParquet;
  for await (const rows of read(file.path, columns))
    yield rows.map((row) =>
      typeof row === "string" ? broken(file, ++line, row) : itemOf(file, ++line, row, null),
    );
}

/** The item with the named fields alone, in that order. */
function pick(item: Item, columns: readonly string[]): Item {
  const { row, file, line } = item;
  if (row === null) return item;
  const missing = columns.find((column) => row[column] === undefined);
  if (missing !== undefined) {
    const problem = `the row has no column "${missing}"; fields: ${Object.keys(row).join(", ")}`;
    return { file, line, row: null, problem, text: "", offset: 0, bytes: 0 };
  }
  const picked = Object.fromEntries(columns.map((column) => [column, row[column] as Json]));
  return { ...item, row: picked, text: JSON.stringify(picked) };
}

function itemOf(file: DataFile, line: number | undefined, value: Json, text: string | null): Item {
  // One level too many stays, so that the task of this row fails and no other.
  const row = isTooDeep(value) ? cutDepth(value, DEPTH_MAX + 1) : value;
  if (!isJsonObject(row))
    return broken(file, line, `a row must be an object, found ${shorten(JSON.stringify(row))}`);
  return {
    file: file.path,
    line,
    row,
    problem: null,
    text: text ?? JSON.stringify(row),
    offset: 0,
    bytes: 0,
  };
}

function broken({ path }: DataFile, line: number | undefined, problem: string): Item {
  return { file: path, line, row: null, problem, text: "", offset: 0, bytes: 0 };
}

const SHOWN_MAX = 60;

function shorten(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}
