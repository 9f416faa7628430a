// Which test files a mutant is tried against, and in which order.

import { expect, test } from "bun:test";
import { parseTests, type TestFile } from "../../../scripts/mutation/dry-run.ts";
import type { ImportGraph } from "../../../scripts/mutation/imports.ts";
import type { Mutant } from "../../../scripts/mutation/instrument.ts";
import { nearestFirst } from "../../../scripts/mutation/trial.ts";

const MUTANT: Mutant = {
  id: "id",
  file: "src/peer/outbox.ts",
  operator: "NumericLiteral",
  inside: "",
  original: "1",
  replacement: "0",
  nth: 1,
  line: 1,
  at: [0, 1],
  ordinal: 5,
};

function testFile(path: string, ms: number, { run = [5], loaded = [] as number[] } = {}): TestFile {
  return { path, ms, longestTestMs: ms, skip: [], reach: { [MUTANT.file]: { run, loaded } } };
}

/** Distances that stand in a test file's name: `a-3.test.ts` is three imports away. */
const graph: ImportGraph = {
  distances: (test) => new Map([[MUTANT.file, Number(/-(\d+)\./.exec(test)?.[1] ?? 1)]]),
  digest: () => "",
};

const order = (tests: readonly TestFile[]) =>
  nearestFirst(MUTANT, tests, graph).map(({ path }) => path);

test("the file that mirrors the source runs first, then near ones, then those that only load it", () => {
  const tests = [
    testFile("tests/host/a-1.test.ts", 100, { run: [], loaded: [5] }),
    testFile("tests/host/b-3.test.ts", 100),
    testFile("tests/host/c-1.test.ts", 100),
    testFile("tests/peer/outbox.test.ts", 100),
    testFile("tests/peer/other-9.test.ts", 100, { run: [4] }),
  ];
  expect(order(tests)).toEqual([
    "tests/peer/outbox.test.ts",
    "tests/host/c-1.test.ts",
    "tests/host/b-3.test.ts",
    "tests/host/a-1.test.ts",
  ]);
});

test("a file that takes far longer runs after a quick one that is one import further away", () => {
  const tests = [
    testFile("tests/host/slow-1.test.ts", 20_000),
    testFile("tests/host/a-2.test.ts", 50),
  ];
  expect(order(tests)).toEqual(["tests/host/a-2.test.ts", "tests/host/slow-1.test.ts"]);
});

test("slow files of other folders are left out once a mutant has had a minute", () => {
  const tests = [
    testFile("tests/host/a-1.test.ts", 40_000),
    testFile("tests/host/b-2.test.ts", 40_000),
    testFile("tests/peer/c-3.test.ts", 90_000),
  ];
  expect(order(tests).toSorted()).toEqual(["tests/host/a-1.test.ts", "tests/peer/c-3.test.ts"]);
});

test("failed and passed tests are read from a report, skipped ones are not, and titles are unescaped", () => {
  const xml = `<testsuite name="x"><testcase name="a &lt;b&gt; &#39;c&apos;" classname="x" time="0.5" />
    <testcase name="fails" time="0.001"><failure type="AssertionError" message="x" /></testcase>
    <testcase name="later" time="0"><skipped /></testcase></testsuite>`;
  expect(parseTests(xml)).toEqual([
    { title: "a <b> 'c'", ms: 500, failed: false },
    { title: "fails", ms: 1, failed: true },
  ]);
});
