// The Python library (sandboxes/matrix_agent.py) in a folder of this process, where interpreters
// find it.

import { rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import library from "../../sandboxes/matrix_agent.py" with { type: "text" };
import { makeTemporaryFolder } from "../task/temporary-folder.ts";

let folder: Promise<string> | null = null;

/** The folder that has `matrix_agent.py`. It goes when this process ends by itself. */
export function libraryFolder(): Promise<string> {
  folder ??= makeLibraryFolder();
  return folder;
}

async function makeLibraryFolder(): Promise<string> {
  const made = await makeTemporaryFolder("matrix-python-");
  process.once("exit", () => rmSync(made, { recursive: true, force: true }));
  await writeFile(join(made, "matrix_agent.py"), library);
  return made;
}
