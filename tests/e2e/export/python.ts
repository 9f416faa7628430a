// The Python programs that exports are for, in the environments that scripts/python-env makes.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../parts/repository.ts";

/** The interpreter of the newest packages. */
export const PYTHON = pythonOf("python");

/** What load.py prints for `args`. See `runPython`. */
export function load<T>(folder: string, ...args: readonly string[]): Promise<T | null> {
  return runPython(folder, "load.py", args);
}

/**
 * The JSON that a program of this folder prints last; null, with a line that says so, where the
 * environment is missing. `folder` is for its caches.
 */
export async function runPython<T>(
  folder: string,
  program: string,
  args: readonly string[],
  environment = "python",
): Promise<T | null> {
  const python = pythonOf(environment);
  if (!existsSync(python)) {
    console.log("skipped: no Python environment: run scripts/python-env");
    return null;
  }
  const env = { ...process.env, MATRIX_TEST_FOLDER: folder };
  const child = Bun.spawn([python, join(import.meta.dir, program), ...args], {
    env,
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} failed: ${stderr.slice(-3000)}`);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as T;
}

function pythonOf(environment: string): string {
  return join(ROOT, ".tools", environment, "bin/python");
}
