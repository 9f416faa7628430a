// Rows of CSV (RFC 4180) and of its relatives with other delimiters. Lines end at "\n", "\r\n" or
// "\r", also within one file. Blank lines are no rows.

import { Readable } from "node:stream";
import { CsvError, type CsvErrorCode, type Parser, parse } from "csv-parse";
import type { JsonObject } from "../task/json.ts";
import { decodeText, LineError } from "./text.ts";

/** Settings of the recipe (dataset.csv). */
export interface CsvSettings {
  /** Unset, a comma, or a tab in TSV. */
  readonly delimiter?: string | undefined;
  /** The character around texts; "" for none. */
  readonly quote: string;
  /** A label of the Encoding Standard. */
  readonly encoding: string;
  /** True for names in the first line; otherwise the names, or false for numbers from 0. */
  readonly header: boolean | readonly string[];
}

export const CSV_DEFAULTS: CsvSettings = { quote: '"', encoding: "utf-8", header: true };

/** A row, or the problem with it. */
export interface CsvRow {
  /** The line at which it ends, from 1. */
  readonly line: number;
  readonly row: JsonObject | string;
}

const BATCH_ROWS = 256;

/**
 * The size that a single row may have, so that one without an end does not fill the memory. It is
 * compared with what came before, so a row may have some more.
 */
export interface RowLimits {
  readonly characters: number;
  readonly fields: number;
}

const ROW_LIMITS: RowLimits = { characters: 256 * 2 ** 20, fields: 1_000_000 };
const ENCODING_HINT =
  'set dataset.csv.encoding to the one that it has, such as "latin1" or "utf-16le"';

/** Batches of rows. Fails with a LineError where a line cannot be read and no line after it. */
export async function* readCsvRows(
  open: () => AsyncIterable<Buffer>,
  delimiter: string,
  { quote, encoding, header }: CsvSettings,
  limits = ROW_LIMITS,
): AsyncGenerator<readonly CsvRow[]> {
  const parser = parse({
    delimiter,
    quote: quote === "" ? null : quote,
    escape: quote === "" ? null : quote,
    info: true,
    max_record_size: limits.characters,
    record_delimiter: ["\r\n", "\n", "\r"],
    relax_column_count: true,
    skip_empty_lines: true,
  });
  const decoded = decodeText(open, encoding, ENCODING_HINT);
  const text = Readable.from(fewFields(decoded, parser, limits.fields), { objectMode: false });
  text.on("error", (error) => parser.destroy(error));
  let names = Array.isArray(header) ? namesOf(header, 1) : null;
  let rows: CsvRow[] = [];
  try {
    for await (const { record, info } of text.pipe(parser) as AsyncIterable<Parsed>) {
      const line = info.lines;
      if (names === null) {
        names = namesOf(header === true ? record : record.map((_, i) => String(i)), line);
        if (header === true) continue;
      }
      rows.push({ line, row: rowOf(names, record) });
      if (rows.length < BATCH_ROWS) continue;
      yield rows;
      rows = [];
    }
  } catch (cause) {
    throw explain(cause, limits);
  }
  if (rows.length > 0) yield rows;
}

/** The same text. Fails when the row that the parser is reading has too many fields. */
async function* fewFields(
  text: AsyncIterable<string>,
  parser: Parser,
  fieldsMax: number,
): AsyncGenerator<string> {
  const { state } = parser as unknown as { readonly state: { readonly record: readonly string[] } };
  for await (const chunk of text) {
    if (state.record.length > fieldsMax)
      throw new LineError(
        parser.info.lines,
        `the row has more than ${fieldsMax} fields; ${ENDLESS}`,
      );
    yield chunk;
  }
}

interface Parsed {
  readonly record: readonly string[];
  readonly info: { readonly lines: number };
}

function namesOf(names: readonly string[], line: number): readonly string[] {
  const seen = new Set<string>();
  const twice = names.find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined)
    throw new LineError(line, `the header names the column "${twice}" twice`);
  return names;
}

function rowOf(names: readonly string[], fields: readonly string[]): JsonObject | string {
  if (fields.length === names.length)
    return Object.fromEntries(names.map((name, i) => [name, fields[i] ?? ""]));
  const many = fields.length === 1 ? "1 field" : `${fields.length} fields`;
  return `the row has ${many} and the header ${names.length}`;
}

const ENDLESS = "check dataset.csv.delimiter and dataset.csv.quote, and the line ends of the file";

const HINTS: Partial<Record<CsvErrorCode, string>> = {
  CSV_QUOTE_NOT_CLOSED: "a quote that is opened before is never closed",
  INVALID_OPENING_QUOTE:
    "a quote stands within a field that does not begin with one; put the field into quotes and " +
    'double the quotes within it, or set dataset.csv.quote = ""',
  CSV_INVALID_CLOSING_QUOTE:
    "text follows a closing quote; double the quotes within a field, or set dataset.csv.quote",
};

function explain(cause: unknown, { characters }: RowLimits): unknown {
  if (!(cause instanceof CsvError)) return cause;
  const { lines } = cause as { lines?: unknown };
  const message =
    cause.code === "CSV_MAX_RECORD_SIZE"
      ? `the row has more than the ${characters / 2 ** 20} MiB that a row may have; ${ENDLESS}`
      : (HINTS[cause.code] ?? cause.message);
  return typeof lines === "number" ? new LineError(lines, message, cause) : cause;
}
