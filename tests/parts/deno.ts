// Deno's binary, for tests that run the same source under it.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./repository.ts";

/**
 * The binary itself: the package's own launcher needs Node.js. Null, after a line that says so,
 * where the package has none for this machine.
 */
export function findDeno(): string | null {
  const packages = join(ROOT, "node_modules/@deno");
  const found = existsSync(packages)
    ? readdirSync(packages).map((name) => join(packages, name, "deno"))
    : [];
  const deno = found.find((path) => runs(path)) ?? null;
  if (deno === null) console.log("skipped: the deno package has no binary for this machine");
  return deno;
}

function runs(path: string): boolean {
  const command = [path, "--version"];
  return Bun.spawnSync(command, { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
}
