// The files of a dataset. Paths, folders, globs and names on the hub become a list of files, each
// with its format and compression.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { glob } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { closest } from "fastest-levenshtein";
import { MatrixError } from "../error.ts";
import type { CsvSettings } from "./csv.ts";
import { type Compression, describeName, type Format, isDataFile } from "./format.ts";
import { fetchFromHub, HUB_PREFIX } from "./hub.ts";
import { CARD_FILES, type Card, parseCard } from "./layout/card.ts";
import { chooseFiles } from "./layout/choose.ts";
import { savedFiles } from "./layout/saved.ts";

export interface DataFile {
  readonly path: string;
  readonly format: Format;
  readonly compression: Compression;
  /** Set for a file of CSV or TSV where the recipe has settings for it. */
  readonly csv?: CsvSettings;
}

/**
 * Finds the files of all paths, in order. Fails with `dataset_invalid` when a path is missing, a
 * glob matches no file, or a name does not tell the format.
 */
export async function findFiles(
  paths: readonly string[],
  format: Format | undefined,
  csv?: CsvSettings,
): Promise<readonly DataFile[]> {
  const files: DataFile[] = [];
  for (const path of paths)
    for (const file of await expand(path)) files.push(describe(file, format, csv));
  return files;
}

async function expand(path: string): Promise<readonly string[]> {
  if (path.startsWith(HUB_PREFIX)) return fetchFromHub(path, process.env);
  if (existsSync(path))
    return statSync(path).isDirectory() ? (savedFiles(path) ?? filesOfFolder(path)) : [path];
  if (/[*?[{]/.test(path)) {
    const found: string[] = [];
    for await (const file of glob(path)) found.push(file);
    if (found.length > 0) return found.sort();
    throw new MatrixError("dataset_invalid", `no file matches ${path}`, nearbyHint(path));
  }
  // A name without an ending may be a split or a config: its files are in a folder above.
  if (!isDataFile(path)) {
    const above = withConfigs(path);
    if (above !== null) return chosen(above.root, path, above.card);
    if (/^[\w-]+$/.test(basename(path)) && existsSync(dirname(path)))
      return chosen(dirname(path), path, null);
  }
  throw new MatrixError("dataset_invalid", `there is no dataset at ${path}`, nearbyHint(path));
}

/** The files of a folder, which may be a config of a folder above it. */
function filesOfFolder(folder: string): readonly string[] {
  const own = cardOf(folder);
  const above = own === null ? withConfigs(folder) : null;
  if (above === null) return chosen(folder, folder, own);
  const below = relative(above.root, folder);
  const isConfig = above.card.configs.some(
    ({ name }) => below === name || below.startsWith(`${name}/`),
  );
  return isConfig ? chosen(above.root, folder, above.card) : chosen(folder, folder, null);
}

/** Parts of a path that may stand for a config and a split. */
const PARTS_MAX = 3;

/** The nearest folder above a path whose card has configs. */
function withConfigs(path: string): { readonly root: string; readonly card: Card } | null {
  let root = path;
  for (let parts = 0; parts < PARTS_MAX; parts++) {
    if (dirname(root) === root) return null;
    root = dirname(root);
    const card = existsSync(root) ? cardOf(root) : null;
    if (card !== null) return { root, card };
  }
  return null;
}

function cardOf(folder: string): Card | null {
  const texts = new Map<string, string>();
  for (const file of CARD_FILES) {
    const path = join(folder, file);
    if (existsSync(path) && statSync(path).isFile()) texts.set(file, readFileSync(path, "utf8"));
  }
  return parseCard(folder, texts);
}

function chosen(root: string, path: string, card: Card | null): readonly string[] {
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" });
  return chooseFiles({ root, paths, card }, relative(root, path)).map((file) => join(root, file));
}

function describe(path: string, format: Format | undefined, csv?: CsvSettings): DataFile {
  const { format: named, compression } = describeName(path);
  const found = format ?? named;
  const typed = { parquet: "Parquet", arrow: "Arrow" }[found as string];
  if (typed !== undefined && compression !== null)
    throw new MatrixError(
      "dataset_invalid",
      `${path} is a compressed ${typed} file, which cannot be read`,
      { hint: `decompress it; ${typed} compresses its columns itself` },
    );
  if (found !== null) {
    const isCsv = found === "csv" || found === "tsv";
    return { path, format: found, compression, ...(isCsv && csv !== undefined ? { csv } : {}) };
  }
  throw new MatrixError("dataset_invalid", `cannot tell the format of ${path} from its name`, {
    hint:
      "name it .jsonl, .json, .csv, .tsv (each also with .gz, .zst, .bz2 or .xz), " +
      ".parquet or .arrow, " +
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
