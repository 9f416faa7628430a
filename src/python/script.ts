// Needs that a Python file states itself (PEP 723): uv makes an environment with them, in its own
// cache, and names its interpreter. Nothing is installed unless the recipe allows it.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { MatrixError, messageOf } from "../error.ts";

const METADATA = /^# \/\/\/ script\r?\n(?:#(?: .*)?\r?\n)+?# \/\/\/\r?$/m;
/** Characters of what uv says that an error shows. */
const SAID_MAX = 2000;

/** Tells whether a file says what it needs. */
export async function statesNeeds(path: string): Promise<boolean> {
  const source = await readFile(path, "utf8").catch(() => "");
  return METADATA.test(source);
}

/**
 * The interpreter for a file: that of its own environment where the file states its needs and
 * `install` allows it, else `command`. Fails with `module_invalid`.
 */
export async function commandFor(
  path: string,
  command: readonly string[],
  install: boolean,
): Promise<readonly string[]> {
  if (!install || !(await statesNeeds(path))) return command;
  await uv(path, ["sync", "--quiet", "--script", path]);
  return [(await uv(path, ["python", "find", "--script", path])).trim()];
}

async function uv(path: string, args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)("uv", [...args])).stdout;
  } catch (cause) {
    const { code, stderr } = cause as { code?: unknown; stderr?: string };
    if (code === "ENOENT")
      throw new MatrixError("module_invalid", `${path} states its needs, and uv is missing`, {
        cause,
        hint: "python.install = true installs them with uv: put uv on the PATH (pip install uv), or set it to false and name an interpreter that has them as python.command",
      });
    const said = stderr?.trim() || messageOf(cause);
    const message = `uv cannot install what ${path} needs: ${said.slice(-SAID_MAX)}`;
    throw new MatrixError("module_invalid", message, { cause });
  }
}
