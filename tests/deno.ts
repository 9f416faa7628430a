// The other runtime, for tests that run the same source under it.

import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");

/** The binary itself: the package's own launcher needs Node.js. Null, and said so, where there is none. */
export function findDeno(): string | null {
  const packages = join(ROOT, "node_modules/@deno");
  const found = existsSync(packages)
    ? readdirSync(packages).map((name) => join(packages, name, "deno"))
    : [];
  const deno =
    found.find(
      (path) =>
        Bun.spawnSync([path, "--version"], { stdout: "ignore", stderr: "ignore" }).exitCode === 0,
    ) ?? null;
  if (deno === null) console.log("skipped: the deno package has no binary for this machine");
  return deno;
}
