// Which files a dataset is: paths, folders, globs and names of the hub to a list of files, each with its format and compression.

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

/** Fails with `dataset_invalid` when a path is missing, a glob matches nothing or a name tells no format. */
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
  // The name of a split stands for its files in the folder above.
  if (/^[\w-]+$/.test(basename(path)) && existsSync(dirname(path)))
    return filesOfFolder(dirname(path), basename(path));
  throw new MatrixError("dataset_invalid", `no such dataset: ${path}`, nearbyHint(path));
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
      `${path} is compressed as a whole: Parquet is compressed within`,
    );
  if (found !== null) return { path, format: found, compression };
  throw new MatrixError("dataset_invalid", `cannot tell the format of ${path} from its name`, {
    hint: 'name it .jsonl, .json, .csv (also with .gz or .zst) or .parquet, or set dataset.format = "jsonl"',
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
