// A hash of everything that dist/matrix is built from. scripts/build keeps it beside the binary,
// and the tests compare it, so that no test runs a binary of other sources. Prints the hash when
// run.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");

export function hashOfSources(): string {
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.\w+$/.test(name))
    .map((name) => join("src", name))
    .sort();
  // The binary carries these as text.
  const carried = [
    "sandboxes/matrix_agent.py",
    "sandboxes/matrix_data.py",
    "sandboxes/matrix_graph.py",
    "sandboxes/matrix-agent.mjs",
  ];
  const hash = createHash("sha256").update(Bun.version);
  for (const path of [
    "bun.lock",
    "package.json",
    "scripts/build",
    "scripts/page.ts",
    ...carried,
    ...sources,
  ])
    hash.update(`\n${path}\n`).update(readFileSync(join(ROOT, path)));
  return hash.digest("hex");
}

if (import.meta.main) console.log(hashOfSources());
