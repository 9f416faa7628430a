// Which files a dataset is: paths and globs to a sorted list, each with its format and compression read off its name.

import { existsSync, readdirSync, statSync } from "node:fs";
import { glob } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { closest } from "fastest-levenshtein";
import { MatrixError } from "../error.ts";

export type Format = "jsonl" | "json" | "csv";
export type Compression = "gz" | "zst" | null;

export interface DataFile {
  readonly path: string;
  readonly format: Format;
  readonly compression: Compression;
}

const FORMATS: Readonly<Record<string, Format>> = { jsonl: "jsonl", ndjson: "jsonl", json: "json", csv: "csv" };

/** Fails with `dataset_invalid` when a path is missing, a glob matches nothing or a name tells no format. */
export async function findFiles(paths: readonly string[], format: Format | undefined): Promise<readonly DataFile[]> {
  const files: DataFile[] = [];
  for (const path of paths) for (const file of await expand(path)) files.push(describe(file, format));
  return files;
}

async function expand(path: string): Promise<readonly string[]> {
  if (existsSync(path)) {
    if (statSync(path).isDirectory())
      throw new MatrixError("dataset_invalid", `${path} is a folder`, { hint: `name its files: "${path}/*.jsonl"` });
    return [path];
  }
  if (!/[*?[{]/.test(path)) throw new MatrixError("dataset_invalid", `no such dataset: ${path}`, nearbyHint(path));
  const found: string[] = [];
  for await (const file of glob(path)) found.push(file);
  if (found.length === 0) throw new MatrixError("dataset_invalid", `no file matches ${path}`, nearbyHint(path));
  return found.sort();
}

function describe(path: string, format: Format | undefined): DataFile {
  const parts = basename(path).toLowerCase().split(".");
  const last = parts.at(-1);
  const compression = last === "gz" || last === "zst" ? last : null;
  const named = FORMATS[parts.at(compression === null ? -1 : -2) ?? ""];
  const found = format ?? named;
  if (found !== undefined) return { path, format: found, compression };
  throw new MatrixError("dataset_invalid", `cannot tell the format of ${path} from its name`, {
    hint: 'name it .jsonl, .json or .csv (also with .gz or .zst), or set dataset.format = "jsonl"',
  });
}

function nearbyHint(path: string): { hint?: string } {
  const folder = dirname(path);
  if (!existsSync(folder)) return { hint: `there is no folder ${folder}` };
  const names = readdirSync(folder).filter((name) => !name.startsWith("."));
  return names.length === 0
    ? { hint: `${folder} is empty` }
    : { hint: `the nearest name in ${folder} is ${closest(basename(path), names)}` };
}
