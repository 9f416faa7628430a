// One mutant against the test files that reach it, nearest first, until one notices.

import { runTestFile } from "./bun-test.ts";
import type { TestFile } from "./dry-run.ts";
import type { ImportGraph } from "./imports.ts";
import { ACTIVE_MUTANT, folderOf, type Mutant } from "./instrument.ts";
import type { Tree } from "./tree.ts";

export type Status = "killed" | "timed out" | "survived" | "not reached";

export interface Verdict {
  readonly status: Status;
  /** Test file that noticed. */
  readonly by: string | null;
}

/** Time that test files of other folders get for one mutant, by what they took in the dry run. */
const DISTANT_BUDGET_MS = 60_000;
/** A file counts as hanging when it is slower than in the dry run by this factor. */
const SLOWNESS = 5;
const GRACE_MS = 10_000;

/** Test files that reach the mutant, the most promising first. */
export function nearestFirst(
  mutant: Mutant,
  tests: readonly TestFile[],
  graph: ImportGraph,
): TestFile[] {
  const ranked = tests.flatMap((test) => {
    const reach = test.reach[mutant.file];
    const runs = reach?.run.includes(mutant.ordinal) ?? false;
    if (!runs && !reach?.loaded.includes(mutant.ordinal)) return [];
    return { test, rank: rankOf(mutant.file, test, graph) + (runs ? 0 : 3) };
  });
  return withinBudget(
    mutant,
    ranked.sort((a, b) => a.rank - b.rank || a.test.ms - b.test.ms).map(({ test }) => test),
  );
}

/**
 * Imports on the way from the test; a file of ten times the length counts as one import further.
 */
function rankOf(file: string, { path, ms }: TestFile, graph: ImportGraph): number {
  const distance = graph.distances(path).get(file) ?? 10;
  const slowness = Math.max(0, Math.log10(ms / 200));
  const mirrored = file.replace(/^src/, "tests").replace(/\.ts$/, ".test.ts") === path ? 2 : 0;
  return distance + slowness - mirrored - (isMirrored(file, path) ? 1 : 0);
}

function isMirrored(file: string, test: string): boolean {
  return folderOf(file) === folderOf(test);
}

function withinBudget(mutant: Mutant, tests: readonly TestFile[]): TestFile[] {
  let leftMs = DISTANT_BUDGET_MS;
  return tests.filter(({ path, ms }) => {
    const isFirst = leftMs === DISTANT_BUDGET_MS;
    if (isMirrored(mutant.file, path)) return true;
    if (ms > leftMs && !isFirst) return false;
    leftMs -= ms;
    return true;
  });
}

/**
 * Test files of the copy that holds the mutants, run without one: each only when it first fails.
 */
export interface Controls {
  /** True where the file passes as long as no mutant is on. */
  passes(test: TestFile): Promise<boolean>;
}

export function createControls(tree: Tree, report: (failing: string) => void): Controls {
  const known = new Map<string, Promise<boolean>>();
  const run = async (test: TestFile): Promise<boolean> => {
    for (let attempt = 1; attempt <= CONTROL_ATTEMPTS; attempt++) {
      if ((await runWith(tree, test, null)).end === "passed") return true;
    }
    report(test.path);
    return false;
  };
  return {
    passes: (test) => {
      const passing = known.get(test.path) ?? run(test);
      known.set(test.path, passing);
      return passing;
    },
  };
}

/** A file may run out of time on a busy machine, so it gets this many attempts without a mutant. */
const CONTROL_ATTEMPTS = 3;

export async function tryMutant(
  tree: Tree,
  mutant: Mutant,
  tests: readonly TestFile[],
  controls: Controls,
): Promise<Verdict> {
  for (const test of tests) {
    const status = await tryTest(tree, mutant, test);
    if (status && (await controls.passes(test))) return { status, by: test.path };
  }
  return { status: tests.length > 0 ? "survived" : "not reached", by: null };
}

/** The verdict of the test file on the mutant; null when it passes. */
async function tryTest(tree: Tree, mutant: Mutant, test: TestFile): Promise<Status | null> {
  for (let attempt = 1; ; attempt++) {
    const { end, hadTimeout } = await runWith(tree, test, mutant.id);
    if (end === "passed") return null;
    if (!hadTimeout) return "killed";
    // A busy machine looks like a hanging mutant: the file has to be in time without the mutant.
    if ((await runWith(tree, test, null)).end === "passed") {
      return end === "late" ? "timed out" : "killed";
    }
    if (attempt === 2) return null;
  }
}

function runWith(tree: Tree, test: TestFile, id: string | null) {
  return runTestFile(tree, test.path, {
    env: id === null ? {} : { [ACTIVE_MUTANT]: id },
    args: ["--bail"],
    skip: test.skip,
    testTimeoutMs: GRACE_MS / 2 + test.longestTestMs * SLOWNESS,
    deadlineMs: GRACE_MS + test.ms * SLOWNESS,
  });
}
