// Rows as Parquet, one row group at a time. The file carries the column types in the metadata key
// that the `datasets` library itself writes, so that JSON columns load as objects. Lists have three
// levels, as the specification of Parquet requires.

import { createHash } from "node:crypto";
import { fileWriter, ParquetWriter } from "hyparquet-writer";
import { ExactNumber } from "../../task/exact.ts";
import type { Json, JsonObject } from "../../task/json.ts";
import type { Columns, ColumnType, RowFile, TableRow } from "../contract.ts";
import { contentOf } from "../media.ts";
import { storageFailed } from "./storage.ts";

/** The most rows of a row group. */
const GROUP_ROWS = 1000;
/**
 * A group with this many characters of JSON is written, so that groups of large rows stay small.
 */
const GROUP_CHARACTERS = 16 * 1024 * 1024;

const DIGEST_DIGITS = 16;

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]["schema"][number];

/** Opens a new file. This function and the file that it returns fail with `storage_failed`. */
export async function openParquet(path: string, columns: Columns): Promise<RowFile> {
  try {
    return new ParquetFile(path, columns);
  } catch (cause) {
    return storageFailed(path)(cause);
  }
}

class ParquetFile implements RowFile {
  readonly #path: string;
  readonly #columns: Columns;
  readonly #writer: ParquetWriter;
  #rows: TableRow[] = [];
  #characters = 0;

  constructor(path: string, columns: Columns) {
    this.#path = path;
    this.#columns = columns;
    const schema = [group("schema", "REQUIRED", columns), ...elementsOf(columns)];
    const huggingface = JSON.stringify({ info: { features: featuresOf(columns) } });
    this.#writer = new ParquetWriter({
      writer: fileWriter(path),
      schema,
      kvMetadata: [{ key: "huggingface", value: huggingface }],
      createdBy: "matrix",
    });
  }

  async write(row: TableRow): Promise<void> {
    this.#rows.push(row);
    this.#characters += JSON.stringify(row).length;
    if (this.#rows.length >= GROUP_ROWS || this.#characters >= GROUP_CHARACTERS) this.#flush();
  }

  async close(): Promise<void> {
    this.#flush();
    this.#attempt(() => this.#writer.finish());
  }

  #flush(): void {
    const rows = this.#rows;
    if (rows.length === 0) return;
    const columnData = Object.entries(this.#columns).map(([name, type]) => ({
      name,
      data: rows.map((row) => cellOf(row[name] ?? null, type)),
    }));
    this.#attempt(() => this.#writer.write({ columnData, rowGroupSize: rows.length }));
    this.#rows = [];
    this.#characters = 0;
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (cause) {
      storageFailed(this.#path)(cause);
    }
  }
}

/** A value as the library writes it. */
function cellOf(value: Json, type: ColumnType): unknown {
  if (value === null) return null;
  if (type === "int64") return wholeNumber(value);
  if (type === "json" || type === "message") return withRawNumbers(value);
  if (type === "image" || type === "audio") return mediumCell(String(value));
  if (typeof type === "string") return value;
  if ("list" in type)
    return Array.isArray(value) ? value.map((item) => cellOf(item, type.list)) : null;
  const struct = value as JsonObject;
  return Object.fromEntries(
    Object.entries(type.struct).map(([name, member]) => [
      name,
      cellOf(struct[name] ?? null, member),
    ]),
  );
}

/** A medium as `datasets` stores it: its bytes with a name, or its address. */
function mediumCell(url: string): { readonly bytes: Uint8Array | null; readonly path: string } {
  const content = contentOf(url);
  return content === null
    ? { bytes: null, path: url }
    : { bytes: content.bytes, path: `${digestOf(content.bytes)}.${content.ending}` };
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, DIGEST_DIGITS);
}

function wholeNumber(value: Json): bigint | null {
  if (typeof value === "bigint") return value;
  return typeof value === "number" ? BigInt(Math.trunc(value)) : null;
}

/**
 * The library copies a value member by member before it writes JSON. The copy rounds numbers that a
 * double cannot hold, unless they are raw JSON, which it does not look into.
 */
function withRawNumbers(value: Json): unknown {
  if (Array.isArray(value)) return value.map(withRawNumbers);
  if (typeof value === "bigint" || value instanceof ExactNumber) return rawJson(String(value));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, withRawNumbers(member)]),
  );
}

function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}

/** The schema elements of columns, depth first, in the order that Parquet requires. */
function elementsOf(columns: Columns): SchemaElement[] {
  return Object.entries(columns).flatMap(([name, type]) => elementOf(name, type));
}

function elementOf(name: string, type: ColumnType): SchemaElement[] {
  if (type === "image" || type === "audio")
    return [
      { name, repetition_type: "OPTIONAL", num_children: 2 },
      { name: "bytes", repetition_type: "OPTIONAL", type: "BYTE_ARRAY" },
      ...elementOf("path", "string"),
    ];
  if (typeof type === "string") return [{ name, repetition_type: "OPTIONAL", ...PRIMITIVES[type] }];
  if ("struct" in type) return [group(name, "OPTIONAL", type.struct), ...elementsOf(type.struct)];
  return [
    {
      name,
      repetition_type: "OPTIONAL",
      converted_type: "LIST",
      logical_type: { type: "LIST" },
      num_children: 1,
    },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    ...elementOf("element", type.list),
  ];
}

function group(name: string, repetition: "REQUIRED" | "OPTIONAL", columns: Columns): SchemaElement {
  return { name, repetition_type: repetition, num_children: Object.keys(columns).length };
}

const JSON_ELEMENT: Omit<SchemaElement, "name"> = {
  type: "BYTE_ARRAY",
  converted_type: "JSON",
  logical_type: { type: "JSON" },
};
type Primitive = Exclude<Extract<ColumnType, string>, "image" | "audio">;
const PRIMITIVES: Readonly<Record<Primitive, Omit<SchemaElement, "name">>> = {
  string: { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } },
  json: JSON_ELEMENT,
  message: JSON_ELEMENT,
  int64: { type: "INT64" },
  float64: { type: "DOUBLE" },
  bool: { type: "BOOLEAN" },
};

/** Column types as the `datasets` library writes them. */
function featuresOf(columns: Columns): JsonObject {
  return Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, featureOf(type)]));
}

function featureOf(type: ColumnType): Json {
  if (type === "json" || type === "message") return { _type: "Json" };
  if (type === "image") return { _type: "Image" };
  // Without decoding, audio needs no package beside `datasets`.
  if (type === "audio") return { decode: false, _type: "Audio" };
  if (typeof type === "string") return { dtype: type, _type: "Value" };
  return "struct" in type
    ? featuresOf(type.struct)
    : { feature: featureOf(type.list), _type: "List" };
}
