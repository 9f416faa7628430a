// Files that the program writes into a project of the user, next to files of the user's own.

import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MatrixError } from "../../error.ts";

/** The mark of a file that `matrix types` may write again. */
export const WRITTEN = "Written by `matrix types`. Changes are lost when it is run again.";

/** Texts by their path in a folder. */
export type Files = ReadonlyMap<string, string>;

/**
 * Writes every file, or none: fails with `usage` and the names of the files that are in the way. A
 * file with the mark is never in the way.
 */
export async function writeFiles(folder: string, files: Files): Promise<void> {
  const inTheWay: string[] = [];
  for (const name of files.keys()) {
    const path = join(folder, name);
    if (existsSync(path) && !(await isOurs(path))) inTheWay.push(path);
  }
  if (inTheWay.length > 0)
    throw new MatrixError("usage", "nothing was written, because matrix overwrites no file", {
      problems: inTheWay.map((path) => ({ message: `${path} is in the way` })),
      hint: "remove or rename these files, or choose another folder",
    });
  for (const [name, text] of files) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
}

async function isOurs(path: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.slice(0, 300).includes(WRITTEN);
}
