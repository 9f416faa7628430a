// The dry run: each test file once without a mutant, to learn which mutants it reaches, how long it
// takes and which of its tests cannot run here.

import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { runTestFile } from "./bun-test.ts";
import { COVERAGE_FILE, COVERAGE_TOTAL } from "./coverage.ts";
import type { Tree } from "./tree.ts";

/** A test file that can take part. */
export interface TestFile {
  readonly path: string;
  readonly ms: number;
  readonly longestTestMs: number;
  /** Titles of tests that fail without a mutant: mostly those that need the binary or an engine. */
  readonly skip: readonly string[];
  /** By source file, the numbers of its mutants that the file reaches. */
  readonly reach: Readonly<Record<string, Reach>>;
}

export interface Reach {
  /** Reached while modules load only. */
  readonly loaded: readonly number[];
  /** Reached while tests run. */
  readonly run: readonly number[];
}

/** A test file that takes no part. */
export interface LeftOut {
  readonly path: string;
  readonly reason: string;
}

/** Where the mutants of each source file stand in the array of marks. */
export interface Marks {
  readonly total: number;
  readonly bases: readonly {
    readonly file: string;
    readonly base: number;
    readonly count: number;
  }[];
}

/** What is known of a test file before it runs. */
export interface Expectation {
  /** Some tests of the file start the binary, which the copy does not have. */
  readonly startsBinary: boolean;
  /** The file tests a folder of the sample: it may take longer than a file of another folder. */
  readonly isMirrored: boolean;
}

interface Limits {
  readonly testTimeoutMs: number;
  readonly deadlineMs: number;
}

const MIRRORED: Limits = { testTimeoutMs: 60_000, deadlineMs: 600_000 };
const DISTANT: Limits = { testTimeoutMs: 30_000, deadlineMs: 100_000 };
/** Tests that wait for a binary that is not there would take all of the usual time. */
const WITHOUT_BINARY: Limits = { testTimeoutMs: 4_000, deadlineMs: 40_000 };

export async function dryRun(
  tree: Tree,
  path: string,
  marks: Marks,
  { startsBinary, isMirrored }: Expectation,
): Promise<TestFile | LeftOut> {
  const usual = isMirrored ? MIRRORED : DISTANT;
  const limits = startsBinary ? WITHOUT_BINARY : usual;
  const first = await observe(tree, path, marks, limits, []);
  if (first.end === "late") return { path, reason: "takes too long" };
  if (first.end === "passed") return usable(path, first, []);
  const skip = first.tests.filter(({ failed }) => failed).map(({ title }) => title);
  if (skip.length === 0) return { path, reason: "does not load" };
  if (skip.length === first.tests.length) return { path, reason: "every test fails here" };
  const second = await observe(tree, path, marks, usual, skip);
  if (second.end !== "passed") return { path, reason: "its other tests fail too" };
  return usable(path, second, skip);
}

interface Observed {
  readonly end: "passed" | "failed" | "late";
  readonly ms: number;
  readonly tests: readonly {
    readonly title: string;
    readonly ms: number;
    readonly failed: boolean;
  }[];
  readonly reach: Readonly<Record<string, Reach>>;
}

async function observe(
  tree: Tree,
  path: string,
  marks: Marks,
  limits: Limits,
  skip: readonly string[],
): Promise<Observed> {
  const name = join(tree.scratch, path.replaceAll("/", "-"));
  const [coverage, junit] = [`${name}.json`, `${name}.xml`];
  const preload = join(import.meta.dir, "coverage-preload.ts");
  const startedAt = performance.now();
  const { end } = await runTestFile(tree, path, {
    env: { [COVERAGE_FILE]: coverage, [COVERAGE_TOTAL]: `${marks.total}` },
    args: ["--preload", preload, "--reporter=junit", "--reporter-outfile", junit],
    skip,
    ...limits,
  });
  const ms = Math.round(performance.now() - startedAt);
  const tests = existsSync(junit) ? parseTests(await readFile(junit, "utf8")) : [];
  const reached = existsSync(coverage)
    ? (JSON.parse(await readFile(coverage, "utf8")) as Reach)
    : { loaded: [], run: [] };
  await rm(coverage, { force: true });
  await rm(junit, { force: true });
  return { end, ms, tests, reach: byFile(reached, marks) };
}

function usable(path: string, { ms, tests, reach }: Observed, skip: readonly string[]): TestFile {
  const longestTestMs = Math.round(Math.max(0, ...tests.map((test) => test.ms)));
  return { path, ms, longestTestMs, skip, reach };
}

/** Reads Bun's JUnit report. Tests that were skipped do not count. */
export function parseTests(xml: string): Observed["tests"] {
  const cases = xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g);
  return [...cases].flatMap(([, attributes = "", inner = ""]) => {
    if (inner.includes("<skipped")) return [];
    const read = (name: string) =>
      new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
    return {
      title: unescapeXml(read("name")),
      ms: Number(read("time")) * 1000,
      failed: inner.includes("<failure"),
    };
  });
}

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
};

function unescapeXml(text: string): string {
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, name?: string) =>
    code ? String.fromCodePoint(Number(code)) : (ENTITIES[name ?? ""] ?? whole),
  );
}

function byFile(reached: Reach, { bases }: Marks): Record<string, Reach> {
  const found: Record<string, Reach> = {};
  for (const { file, base, count } of bases) {
    const own = (marks: readonly number[]) =>
      marks.filter((mark) => mark >= base && mark < base + count).map((mark) => mark - base);
    const reach = { loaded: own(reached.loaded), run: own(reached.run) };
    if (reach.loaded.length + reach.run.length > 0) found[file] = reach;
  }
  return found;
}
