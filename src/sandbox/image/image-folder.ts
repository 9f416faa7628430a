// A folder from which an image is built: its files, a hash of them, and a name for the image.

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { MatrixError } from "../../error.ts";

const IGNORED = ["__pycache__", ".git"];
const HASH_CHARS = 12;

/** Hash of the names and contents of the folder's files: another hash is another image. */
export async function hashFolder(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const file of await filesIn(folder))
    hash.update(`${file}\0`).update(await readFile(join(folder, file)));
  return hash.digest("hex").slice(0, HASH_CHARS);
}

/** Paths of the folder's files, relative to it and sorted, without caches and version control. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => !name.split("/").some((part) => IGNORED.includes(part)))
    .sort();
}

/** The folder's own name in the letters that a Docker tag may have. */
export function imageNameOf(folder: string): string {
  return basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]+/g, "-");
}

export function noImage(image: string, why: string): MatrixError {
  return new MatrixError("sandbox_invalid", `${image} is not an image: ${why}`);
}
