// The compiled binary, as the tests of the command line run it.

import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TrajectoryRecord } from "../src/task/record.ts";

export const ROOT = resolve(import.meta.dir, "..");
export const BINARY = join(ROOT, "dist/matrix");
export const CORAL = join(ROOT, "recipes/coral.toml");
export const DUMMY = join(ROOT, "recipes/coral-dummy.toml");

if (!existsSync(BINARY))
  throw new Error("dist/matrix is missing: run scripts/build, or scripts/test, which does");

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

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

export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "matrix-test-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function readRecords(directory: string): Promise<TrajectoryRecord[]> {
  const text = await readFile(join(directory, "trajectories.jsonl"), "utf8");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as TrajectoryRecord);
}

/** Records without what may differ between two equal runs: times, hosts, the order of completion. */
export function comparable(records: readonly TrajectoryRecord[]): unknown[] {
  return records
    .map(({ timing: _timing, trace_id: _trace, history, ...rest }) => ({
      ...rest,
      history: history.map(
        ({ at: _at, queue_ms: _queue, run_ms: _run, host: _host, ...hop }) => hop,
      ),
    }))
    .sort((a, b) => a.id.localeCompare(b.id) || a.trial - b.trial);
}

/** Deno's binary itself: the package's own launcher needs Node.js. Null where the package has none for this machine. */
export function findDeno(): string | null {
  const packages = join(ROOT, "node_modules/@deno");
  const found = existsSync(packages)
    ? readdirSync(packages).map((name) => join(packages, name, "deno"))
    : [];
  return (
    found.find(
      (path) =>
        Bun.spawnSync([path, "--version"], { stdout: "ignore", stderr: "ignore" }).exitCode === 0,
    ) ?? null
  );
}

/** Waits until a condition holds, looking again and again. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
