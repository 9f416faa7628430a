// The files of the built-in recipes on the disk. Modules, prompts and images are read from files,
// so the binary writes what it carries into the user's cache, once for each content. Where no cache
// can be written to, a temporary folder of the process does.
//
// The place is not the same on every machine, so a recipe that is written down or sent names these
// files by `built-in:` and their path in the binary.

import { createHash, randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, sep } from "node:path";
import { MatrixError } from "../../error.ts";
import { makeOwnFolder, OWN_FOLDER } from "../../task/own-files.ts";
import { makeTemporaryFolder } from "../../task/temporary-folder.ts";
import { carried } from "./carried.ts";

export const BUILT_IN = "built-in:";
const HASH_CHARS = 12;
/** Others cannot reach these files through their folder. An image gets them with these rights. */
const READABLE = 0o644;
const RUNNABLE = 0o755;

let folder: string | null = null;
let opening: Promise<string> | null = null;

/**
 * Writes the files where they are missing or changed, and returns their folder. Later calls return
 * the same folder. Fails with `not_private` when another user can write to it.
 */
export function openBuiltIn(): Promise<string> {
  opening ??= open();
  return opening;
}

async function open(): Promise<string> {
  const { FILES } = await carried();
  folder = await writeBuiltIn(FILES, cacheFolder(process.env));
  return folder;
}

export function cacheFolder(env: Readonly<Record<string, string | undefined>>): string {
  const cache = env["XDG_CACHE_HOME"];
  return join(cache === undefined || cache === "" ? join(homedir(), ".cache") : cache, "matrix");
}

/** Returns the folder in which the files are. Exported for tests. */
export async function writeBuiltIn(
  files: ReadonlyMap<string, string>,
  cache: string,
): Promise<string> {
  const hash = createHash("sha256");
  for (const [path, text] of files) hash.update(`${path}\0${text}\0`);
  const made = join(cache, "built-in", hash.digest("hex").slice(0, HASH_CHARS));
  try {
    await writeInto(made, files);
    return made;
  } catch (thrown) {
    if (thrown instanceof MatrixError) throw thrown;
    const temporary = await makeTemporaryFolder("matrix-built-in-");
    process.once("exit", () => rmSync(temporary, { recursive: true, force: true }));
    await writeInto(temporary, files);
    return temporary;
  }
}

async function writeInto(top: string, files: ReadonlyMap<string, string>): Promise<void> {
  await makeOwnFolder(top);
  for (const [name, text] of files) {
    const path = join(top, name);
    if ((await readFile(path, "utf8").catch(() => null)) === text) continue;
    await mkdir(dirname(path), { recursive: true, mode: OWN_FOLDER });
    // Another process may write the same file, or read it.
    const whole = `${path}.${randomUUID()}`;
    const mode = text.startsWith("#!") ? RUNNABLE : READABLE;
    await writeFile(whole, text, { mode, flag: "wx" });
    await rename(whole, path);
  }
}

/** The path of a built-in file; other texts stay as they are. */
export function placed(text: string): string {
  if (!text.startsWith(BUILT_IN)) return text;
  if (folder === null) throw new Error("bug: the built-in files were not opened");
  return join(folder, text.slice(BUILT_IN.length));
}

/** The name of a built-in file that holds on every machine; other paths stay as they are. */
export function unplaced(path: string): string {
  return folder !== null && path.startsWith(folder + sep)
    ? BUILT_IN + path.slice(folder.length + 1)
    : path;
}

/** A text for people, with the names of built-in files in place of their paths. */
export function unplacedIn(text: string): string {
  return folder === null ? text : text.replaceAll(folder + sep, BUILT_IN);
}
