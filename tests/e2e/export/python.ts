// The Python programs that exports are for, in the environment that scripts/python-env makes.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../parts/repository.ts";

export const PYTHON = join(ROOT, ".tools/python/bin/python");

/**
 * What load.py prints for `args`; null, with a line that says so, where the environment is missing.
 * `folder` is for its caches.
 */
export async function load<T>(folder: string, ...args: readonly string[]): Promise<T | null> {
  if (!existsSync(PYTHON)) {
    console.log("skipped: no Python environment: run scripts/python-env");
    return null;
  }
  const env = { ...process.env, MATRIX_TEST_FOLDER: folder };
  const child = Bun.spawn([PYTHON, join(import.meta.dir, "load.py"), ...args], {
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
  if (code !== 0) throw new Error(`load.py ${args.join(" ")} failed: ${stderr.slice(-3000)}`);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as T;
}
