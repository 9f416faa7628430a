// The compiled binary, as tests of the whole program run it.

import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashOfSources } from "../../scripts/sources.ts";
import type { Finished, RunOptions } from "./finished.ts";
import { ROOT } from "./repository.ts";

export const BINARY = join(ROOT, "dist/matrix");

const BUILT_FROM = join(ROOT, "dist/matrix.sources");
if (!existsSync(BINARY) || !existsSync(BUILT_FROM))
  throw new Error("dist/matrix is missing: run scripts/build");
if (readFileSync(BUILT_FROM, "utf8").trim() !== hashOfSources())
  throw new Error("dist/matrix was built from other sources than these: run scripts/build");

export function spawnMatrix(
  args: readonly string[],
  { cwd = tmpdir(), env = {} }: RunOptions = {},
) {
  const child = Bun.spawn([BINARY, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
  });
  const finished = Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]).then(
    ([, stdout, stderr]): Finished => ({
      code: child.signalCode === null ? child.exitCode : null,
      stdout,
      stderr,
    }),
  );
  return { child, finished };
}

export function matrix(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return spawnMatrix(args, options).finished;
}
