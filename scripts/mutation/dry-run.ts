// The dry run: each test file once without a mutant, to learn which mutants it reaches, how long it
// takes and which of its tests cannot run here.

import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { runTestFile } from "./bun-test.ts";
import { createMarks, type Reached, readMarks } from "./coverage.ts";
import type { Tree } from "./tree.ts";

/** A test file that can take part. */
export interface TestFile {
  readonly path: string;
  readonly ms: number;
  readonly longestTestMs: number;
  /** Titles of tests that fail without a mutant, such as those that need an engine. */
  readonly skip: readonly string[];
  /** By source file, the numbers of its mutants that the test file reaches. */
  readonly reach: Readonly<Record<string, Reached>>;
}

/** A test file that takes no part. */
export interface LeftOut {
  readonly path: string;
  readonly reason: string;
}

/** Where the mutants of each source file stand among all marks. */
export interface Layout {
  readonly total: number;
  readonly parts: readonly {
    readonly file: string;
    readonly base: number;
    readonly count: number;
  }[];
}

interface Limits {
  readonly testTimeoutMs: number;
  readonly deadlineMs: number;
}

const MIRRORED: Limits = { testTimeoutMs: 60_000, deadlineMs: 600_000 };
/**
 * A file that takes longer than this would not fit into a mutant's time for other folders' tests.
 */
const DISTANT: Limits = { testTimeoutMs: 30_000, deadlineMs: 100_000 };

/**
 * `isMirrored` tells that the file tests a folder of the sample: it may take longer than others.
 */
export async function dryRun(
  tree: Tree,
  path: string,
  layout: Layout,
  isMirrored: boolean,
): Promise<TestFile | LeftOut> {
  const limits = isMirrored ? MIRRORED : DISTANT;
  const first = await observe(tree, path, layout, limits, []);
  if (first.end === "late") return { path, reason: "takes too long" };
  if (first.end === "passed") return usable(path, first, []);
  const skip = first.tests.filter(({ failed }) => failed).map(({ title }) => title);
  if (skip.length === 0) return { path, reason: "does not load" };
  if (skip.length === first.tests.length) return { path, reason: "every test fails here" };
  const second = await observe(tree, path, layout, limits, skip);
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
  readonly reach: Readonly<Record<string, Reached>>;
}

async function observe(
  tree: Tree,
  path: string,
  layout: Layout,
  limits: Limits,
  skip: readonly string[],
): Promise<Observed> {
  const folder = join(tree.scratch, path.replaceAll("/", "-"));
  await mkdir(folder, { recursive: true });
  const [marks, junit] = [join(folder, "marks"), join(folder, "junit.xml")];
  const preload = join(import.meta.dir, "coverage-preload.ts");
  const startedAt = performance.now();
  const { end } = await runTestFile(tree, path, {
    env: createMarks(marks, layout.total),
    args: ["--preload", preload, "--reporter=junit", "--reporter-outfile", junit],
    skip,
    ...limits,
  });
  const ms = Math.round(performance.now() - startedAt);
  const tests = existsSync(junit) ? parseTests(await readFile(junit, "utf8")) : [];
  const reach = byFile(readMarks(marks), layout);
  await rm(folder, { recursive: true });
  return { end, ms, tests, reach };
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

function byFile(reached: Reached, { parts }: Layout): Record<string, Reached> {
  const found: Record<string, Reached> = {};
  for (const { file, base, count } of parts) {
    const own = (marks: readonly number[]) =>
      marks.filter((mark) => mark >= base && mark < base + count).map((mark) => mark - base);
    const reach = { loaded: own(reached.loaded), run: own(reached.run) };
    if (reach.loaded.length + reach.run.length > 0) found[file] = reach;
  }
  return found;
}
