// The files of a dataset. Paths, folders, globs and names on the hub become a list of files, each
// with its format and compression.

import { existsSync, readdirSync, statSync } from "node:fs";
import { glob } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { closest } from "fastest-levenshtein";
import { MatrixError } from "../error.ts";
import { type Compression, describeName, type Format } from "./format.ts";
import { fetchFromHub, HUB_PREFIX } from "./hub.ts";
import { chooseFiles } from "./repository.ts";

export interface DataFile {
  readonly path: string;
  readonly format: Format;
  readonly compression: Compression;
}

/**
 * Finds the files of all paths, in order. Fails with `dataset_invalid` when a path is missing, a
 * glob matches no file, or a name does not tell the format.
 */
export async function findFiles(
  paths: readonly string[],
  format: Format | undefined,
): Promise<readonly DataFile[]> {
  const files: DataFile[] = [];
  for (const path of paths)
    for (const file of await expand(path)) files.push(describe(file, format));
  return files;
}

async function expand(path: string): Promise<readonly string[]> {
  if (path.startsWith(HUB_PREFIX)) return fetchFromHub(path, process.env);
  if (existsSync(path)) return statSync(path).isDirectory() ? filesOfFolder(path, "") : [path];
  if (/[*?[{]/.test(path)) {
    const found: string[] = [];
    for await (const file of glob(path)) found.push(file);
    if (found.length > 0) return found.sort();
    throw new MatrixError("dataset_invalid", `no file matches ${path}`, nearbyHint(path));
  }
  // A name without an ending may be a split: its files are in the folder above.
  if (/^[\w-]+$/.test(basename(path)) && existsSync(dirname(path)))
    return filesOfFolder(dirname(path), basename(path));
  throw new MatrixError("dataset_invalid", `there is no dataset at ${path}`, nearbyHint(path));
}

function filesOfFolder(folder: string, wanted: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return chooseFiles(folder, names, wanted).map((name) => join(folder, name));
}

function describe(path: string, format: Format | undefined): DataFile {
  const { format: named, compression } = describeName(path);
  const found = format ?? named;
  if (found === "parquet" && compression !== null)
    throw new MatrixError(
      "dataset_invalid",
      `${path} is a compressed Parquet file, which cannot be read`,
      { hint: "decompress it; Parquet compresses its columns itself" },
    );
  if (found !== null) return { path, format: found, compression };
  throw new MatrixError("dataset_invalid", `cannot tell the format of ${path} from its name`, {
    hint:
      "name it .jsonl, .json, .csv (each also with .gz or .zst) or .parquet, " +
      'or set dataset.format = "jsonl"',
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
