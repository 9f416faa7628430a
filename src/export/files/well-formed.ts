// Text without lone surrogates. JSON can escape one half of a character, and JavaScript keeps it.
// UTF-8 has no bytes for it, and loaders of JSON lines refuse the whole file that has one.

import { isJsonObject, type Json } from "../../task/json.ts";
import type { FormatOptions, TableRow } from "../contract.ts";

/** The row with U+FFFD in place of each lone surrogate. A row that has one is counted. */
export function wellFormedRow(row: TableRow, { omit }: Pick<FormatOptions, "omit">): TableRow {
  if (isWellFormed(row)) return row;
  omit("lone_surrogates", 1);
  return mended(row) as TableRow;
}

function isWellFormed(value: Json): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (Array.isArray(value)) return value.every(isWellFormed);
  if (!isJsonObject(value)) return true;
  return Object.entries(value).every(([key, part]) => key.isWellFormed() && isWellFormed(part));
}

function mended(value: Json): Json {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(mended);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key.toWellFormed(), mended(part)]),
  );
}
