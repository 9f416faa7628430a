// The Python library (sandboxes/matrix_agent.py, and its part for graphs) in a folder of this
// process, where interpreters find it.

import { rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import library from "../../sandboxes/matrix_agent.py" with { type: "text" };
import graphs from "../../sandboxes/matrix_graph.py" with { type: "text" };
import { makeTemporaryFolder } from "../task/temporary-folder.ts";

let path: Promise<string> | null = null;

/** The path of the library. Its folder goes when this process ends by itself. */
export function libraryPath(): Promise<string> {
  path ??= writeLibrary();
  return path;
}

async function writeLibrary(): Promise<string> {
  const made = await makeTemporaryFolder("matrix-python-");
  process.once("exit", () => rmSync(made, { recursive: true, force: true }));
  const path = join(made, "matrix_agent.py");
  await writeFile(path, library);
  await writeFile(join(made, "matrix_graph.py"), graphs);
  return path;
}
