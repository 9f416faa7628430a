// One release for all tests of this folder, built as quickly as it can be from this working tree,
// and a second one of the same files in another folder.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "../../parts/repository.ts";

export const TARGETS = ["linux-x64", "linux-x64-musl", "linux-arm64", "darwin-arm64"];

export interface Built {
  readonly folder: string;
  readonly files: readonly string[];
}

/** Builds these targets in a copy of the working tree. */
export async function buildIn(copy: string, targets: readonly string[]): Promise<Built> {
  await copyWorkingTree(copy);
  const output = await run([join(copy, "scripts/release"), "--quick", ...targets], copy);
  // The C library for the other processor is there on the machines that make releases.
  for (const line of output.split("\n"))
    if (line.startsWith("skipped: ") && !line.includes("arm64")) console.log(line);
  const folder = join(copy, "dist/release");
  const files = (await run(["ls", folder], copy)).trim().split("\n");
  return { folder, files };
}

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), "matrix-release-"));
}

/** Clones the commit and lays over it what has changed since, so that it is as dirty as this. */
async function copyWorkingTree(copy: string): Promise<void> {
  await run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, copy], ROOT);
  const changed = await run(["git", "status", "--porcelain", "-z", "--no-renames", "-uall"], ROOT);
  for (const entry of changed.split("\0").filter((one) => one !== "")) {
    const path = entry.slice(3);
    const from = join(ROOT, path);
    const to = join(copy, path);
    mkdirSync(dirname(to), { recursive: true });
    if (existsSync(from)) cpSync(from, to);
    else rmSync(to, { force: true });
  }
  for (const tool of ["node_modules", ".tools"]) symlinkSync(join(ROOT, tool), join(copy, tool));
  // A lockfile that is older than the linked packages causes no installation.
  utimesSync(join(copy, "bun.lock"), 0, 0);
}

/** The output of a command, which must succeed. */
export async function run(command: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...command], { cwd, stdout: "pipe", stderr: "pipe", stdin: "ignore" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0)
    throw new Error(`${command.slice(0, 3).join(" ")} failed: ${stdout}\n${stderr}`);
  return stdout;
}
