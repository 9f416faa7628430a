// Format and compression of a data file, read off its name.

import { basename } from "node:path";

export type Format = "jsonl" | "json" | "csv" | "tsv" | "parquet" | "arrow";
export type Compression = (typeof COMPRESSIONS)[number] | null;

const COMPRESSIONS = ["gz", "zst", "bz2", "xz"] as const;

const FORMATS: Readonly<Record<string, Format>> = {
  jsonl: "jsonl",
  ndjson: "jsonl",
  json: "json",
  csv: "csv",
  tsv: "tsv",
  parquet: "parquet",
  arrow: "arrow",
  feather: "arrow",
};

/** `format` is null when the name does not tell it. */
export function describeName(path: string): {
  readonly format: Format | null;
  readonly compression: Compression;
} {
  const parts = basename(path).toLowerCase().split(".");
  const last = parts.at(-1);
  const compression = COMPRESSIONS.find((ending) => ending === last) ?? null;
  return { format: FORMATS[parts.at(compression === null ? -1 : -2) ?? ""] ?? null, compression };
}

/** True when the name of a file tells a format that can be read. */
export function isDataFile(path: string): boolean {
  return describeName(path).format !== null;
}
