// Columns of plain structs in place of JSON. Every program that reads Parquet reads them, also
// `datasets` before 4.7 and SQL engines. A message then has all members that any message may have,
// and the arguments of its calls are text, because a struct has the same members in every row.

import type { Json, JsonObject } from "../../task/json.ts";
import { isJsonObject } from "../../task/json.ts";
import type { Columns, ColumnType, TableRow } from "../contract.ts";

const CALL: Columns = {
  id: "string",
  type: "string",
  function: { struct: { name: "string", arguments: "string" } },
};
const MESSAGE: Columns = {
  role: "string",
  content: "string",
  reasoning_content: "string",
  tool_calls: { list: { struct: CALL } },
  tool_call_id: "string",
};

/** The same columns without JSON. */
export function structColumns(columns: Columns): Columns {
  return Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, plain(type)]));
}

function plain(type: ColumnType): ColumnType {
  if (type === "json") return "string";
  if (type === "message") return { struct: MESSAGE };
  if (typeof type === "string") return type;
  return "list" in type ? { list: plain(type.list) } : { struct: structColumns(type.struct) };
}

/** A row with every member of its columns, and with text where they want text. */
export function structRow(row: TableRow, columns: Columns): TableRow {
  return Object.fromEntries(
    Object.entries(columns).map(([name, type]) => [name, cellOf(row[name] ?? null, type)]),
  );
}

function cellOf(value: Json, type: ColumnType): Json {
  if (value === null) return null;
  if (type === "string") return textOf(value);
  if (typeof type === "string") return value;
  if ("struct" in type) return isJsonObject(value) ? structRow(value, type.struct) : null;
  return Array.isArray(value) ? value.map((item) => cellOf(item, type.list)) : null;
}

function textOf(value: Json): string {
  if (typeof value === "string") return value;
  // The content of a message with media; a column of its own has them.
  if (Array.isArray(value) && value.length > 0 && value.every(isPart))
    return value.map(({ text }) => (typeof text === "string" ? text : "")).join("");
  return JSON.stringify(value);
}

function isPart(value: Json): value is JsonObject {
  return isJsonObject(value) && ["text", "image", "audio"].includes(String(value["type"]));
}
