// What a data file's name says: its format and its compression.

import { basename } from "node:path";

export type Format = "jsonl" | "json" | "csv" | "parquet";
export type Compression = "gz" | "zst" | null;

const FORMATS: Readonly<Record<string, Format>> = {
  jsonl: "jsonl",
  ndjson: "jsonl",
  json: "json",
  csv: "csv",
  parquet: "parquet",
};

/** `format` is null where the name does not tell. */
export function describeName(path: string): {
  readonly format: Format | null;
  readonly compression: Compression;
} {
  const parts = basename(path).toLowerCase().split(".");
  const last = parts.at(-1);
  const compression = last === "gz" || last === "zst" ? last : null;
  return { format: FORMATS[parts.at(compression === null ? -1 : -2) ?? ""] ?? null, compression };
}

export function isDataFile(path: string): boolean {
  return describeName(path).format !== null;
}
