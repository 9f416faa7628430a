// One test file in its own process, in a copy of the project, with a deadline.

import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Tree } from "./tree.ts";

export interface TestRun {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Titles of tests that are left out. */
  readonly skip: readonly string[];
  readonly testTimeoutMs: number;
  readonly deadlineMs: number;
}

export interface TestEnd {
  readonly end: "passed" | "failed" | "late";
  /** True where a test failed by its own time limit: a slow machine looks like that too. */
  readonly hadTimeout: boolean;
  readonly output: string;
}

/** Fewer seeds of the simulation than usual: the first ones notice most of what all would. */
const SHORT = { MATRIX_SIM_SEEDS: "20" };

let runs = 0;
const live = new Set<number>();

/** Ends the running tests when the program itself is ended. */
export function endTestRuns(): void {
  for (const pid of live) killGroup(pid);
}

export async function runTestFile(tree: Tree, file: string, run: TestRun): Promise<TestEnd> {
  // Short, because sockets in it have a path of at most 108 bytes.
  const folder = join(tree.scratch, `${++runs}`);
  await mkdir(folder);
  const log = join(folder, "log");
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      "--timeout",
      `${run.testTimeoutMs}`,
      ...(run.args ?? []),
      ...(run.skip.length > 0 ? ["-t", patternWithout(run.skip)] : []),
      `./${file}`,
    ],
    {
      cwd: tree.root,
      env: { ...process.env, ...SHORT, ...run.env, TMPDIR: folder, NO_COLOR: "1" },
      stdin: "ignore",
      stdout: Bun.file(log),
      stderr: Bun.file(log),
      // The tests have their own process group, so that their child processes end with them.
      detached: true,
    },
  );
  live.add(child.pid);
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    killGroup(child.pid);
  }, run.deadlineMs);
  await child.exited;
  clearTimeout(deadline);
  killGroup(child.pid);
  live.delete(child.pid);
  const output = await readFile(log, "utf8").catch(() => "");
  await rm(folder, { recursive: true, force: true });
  return {
    end: late ? "late" : child.exitCode === 0 ? "passed" : "failed",
    hadTimeout: late || / timed out after \d+ms/.test(output),
    output,
  };
}

/**
 * Bun matches a pattern with the names of the enclosing `describe`s and the title, joined by
 * spaces.
 */
function patternWithout(titles: readonly string[]): string {
  const escaped = titles.map((title) => title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return `^(?!(?:.* )?(?:${escaped.join("|")})$)`;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The whole group has ended.
  }
}
