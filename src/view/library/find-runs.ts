// The runs below the folders and files that the user has named. Links are followed only where the
// user named them, so nothing outside of these folders is shown.

import { createHash } from "node:crypto";
import type { Dirent } from "node:fs";
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { MatrixError } from "../../error.ts";
import { MANIFEST_FILE } from "../../records/manifest.ts";

/** Levels of folders below a named one that are looked into. */
const LEVELS_MAX = 5;
/** Folders that are looked into. */
const FOLDERS_MAX = 20_000;
const RUNS_MAX = 5_000;
const KEY_HASH_CHARS = 8;
/** Folders that hold no runs, and many files. */
const SKIPPED = new Set([
  "node_modules",
  ".git",
  ".venv",
  "__pycache__",
  "logs",
  "index",
  "journal",
]);
const RECORDS = ["trajectories.jsonl", "trajectories.jsonl.zst"];

export interface FoundRun {
  /** See `RunCard.key`. */
  readonly key: string;
  readonly kind: "run" | "file";
  /** Absolute. */
  readonly path: string;
  /** The path, as the user can type it. */
  readonly shown: string;
}

export interface Found {
  readonly runs: readonly FoundRun[];
  /** Folders that were not looked into. */
  readonly left: number;
}

/** Fails with `usage` for a place that does not exist. */
export async function findRuns(places: readonly string[], cwd: string): Promise<Found> {
  const search = new Search(cwd);
  for (const place of places) await search.place(place);
  return { runs: [...search.runs.values()], left: search.left };
}

class Search {
  readonly runs = new Map<string, FoundRun>();
  left = 0;
  readonly #cwd: string;
  #folders = 0;

  constructor(cwd: string) {
    this.#cwd = cwd;
  }

  async place(place: string): Promise<void> {
    const path = await realpath(resolve(this.#cwd, place)).catch(() => null);
    if (path === null)
      throw new MatrixError("usage", `there is no file or folder ${place}`, {
        hint: "name a run directory, a folder with run directories, or a file of records",
      });
    if ((await stat(path)).isDirectory()) await this.#folder(path, place, 0);
    // The records of a run directory are shown with what its manifest tells.
    else if (RECORDS.includes(basename(path)) && (await isRun(join(path, ".."))))
      this.#add("run", join(path, ".."), join(place, ".."));
    else this.#add("file", path, place);
  }

  async #folder(path: string, shown: string, level: number): Promise<void> {
    if (++this.#folders > FOLDERS_MAX || this.runs.size >= RUNS_MAX) {
      this.left++;
      return;
    }
    if (await isRun(path)) {
      this.#add("run", path, shown);
      // Run directories that a retry or --fresh moved aside lie beside a run, and not in it.
      return;
    }
    if (level === LEVELS_MAX) return;
    const entries = await readdir(path, { withFileTypes: true }).catch((): Dirent[] => []);
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries)
      if (entry.isDirectory() && !SKIPPED.has(entry.name))
        await this.#folder(join(path, entry.name), join(shown, entry.name), level + 1);
  }

  #add(kind: FoundRun["kind"], path: string, shown: string): void {
    const inCwd = relative(this.#cwd, path);
    const typed = shown.startsWith("/") || inCwd.startsWith("..") ? shown : inCwd || ".";
    this.runs.set(path, { key: keyOf(path), kind, path, shown: typed });
  }
}

/** A folder with a manifest or with records is a run, even if it is empty or broken otherwise. */
async function isRun(path: string): Promise<boolean> {
  for (const name of [MANIFEST_FILE, ...RECORDS]) {
    const found = await lstat(join(path, name)).catch(() => null);
    if (found?.isFile() === true) return true;
  }
  return false;
}

function keyOf(path: string): string {
  const name = basename(path)
    .replaceAll(/[^\w.-]/g, "_")
    .slice(0, 60);
  const hash = createHash("sha256").update(path).digest("hex").slice(0, KEY_HASH_CHARS);
  return `${name}~${hash}`;
}
