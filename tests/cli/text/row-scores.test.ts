// The scores of rows over their trials.

import { expect, test } from "bun:test";
import { RowScores } from "../../../src/cli/text/row-scores.ts";

/** Scores of rows, one list for each row, added in the order of the rows. */
const reportOf = (trials: number, ...rows: readonly (readonly (number | null)[])[]) => {
  const scores = new RowScores(trials);
  for (const [id, row] of rows.entries()) for (const score of row) scores.add(String(id), score);
  return scores.report;
};

test("a report counts rows and scores, and gives the mean of all scores", () => {
  expect(reportOf(2, [1, 0], [0.5, null], [null, null])).toEqual({
    rows: 3,
    scored: 3,
    mean: 0.5,
    error: 0,
    pass: [0.25],
  });
  expect(reportOf(1)).toEqual({ rows: 0, scored: 0, mean: null, error: null, pass: [] });
});

test("the standard error is over rows, and needs two with a score", () => {
  expect(reportOf(2, [1, 1], [0, 1], [0, 0]).error).toBeCloseTo(Math.sqrt(0.25 / 3), 12);
  expect(reportOf(3, [1, 0, 0]).error).toBeNull();
  expect(reportOf(1, [1], [null]).error).toBeNull();
});

test("pass^k is the chance that k trials succeed, for as many k as each row has scores", () => {
  // 3 of 4, and 1 of 2: C(3,k)/C(4,k) and C(1,k)/C(2,k).
  expect(reportOf(4, [1, 1, 0, 1], [0, 1]).pass).toEqual([(3 / 4 + 1 / 2) / 2, (3 / 6 + 0) / 2]);
  expect(reportOf(3, [1, 1, 1]).pass).toEqual([1, 1, 1]);
  expect(reportOf(1, [null]).pass).toEqual([]);
  expect(reportOf(4, [1, 1, 0, 1], [null, null, null, null]).pass).toEqual([
    3 / 4,
    3 / 6,
    1 / 4,
    0,
  ]);
});

test("pass^k of a thousand trials is a number for each k", () => {
  const row = Array.from({ length: 1000 }, (_, trial) => (trial < 990 ? 1 : 0));
  const { pass } = reportOf(1000, row);
  expect(pass).toHaveLength(1000);
  expect(pass[0]).toBeCloseTo(0.99, 12);
  expect(pass[1]).toBeCloseTo((990 * 989) / (1000 * 999), 12);
  // C(990,500) / C(1000,500) is the product of (1000 - 500 - i) / (1000 - i) over 10 failures.
  const half = Array.from({ length: 10 }, (_, i) => (500 - i) / (1000 - i));
  expect(pass[499]).toBeCloseTo(
    half.reduce((product, factor) => product * factor),
    12,
  );
  expect(pass.slice(990)).toEqual(new Array<number>(10).fill(0));
});

test("a score within a millionth of 1 is a success", () => {
  const pass = (score: number) => reportOf(1, [score]).pass;
  expect(pass(1 - 0.9e-6)).toEqual([1]);
  expect(pass(1 + 0.9e-6)).toEqual([1]);
  expect(pass(1 - 1.1e-6)).toEqual([0]);
  expect(pass(1.5)).toEqual([0]);
});

test("the trials of a row may come in any order, between those of other rows", () => {
  const scores = new RowScores(2);
  for (const [id, score] of [
    ["a", 1],
    ["b", 0],
    ["b", 1],
    ["a", 1],
    ["c", 0],
  ] as const)
    scores.add(id, score);
  const report = { rows: 3, scored: 5, mean: 3 / 5, pass: [(1 + 0.5 + 0) / 3] };
  expect(scores.report).toMatchObject(report);
  // A report leaves the scores as they are.
  expect(scores.report).toMatchObject(report);
  scores.add("c", 0);
  expect(scores.report).toMatchObject({ rows: 3, scored: 6, pass: [0.5, 1 / 3] });
});

test("half a million rows with one of their two trials are reported", () => {
  const scores = new RowScores(2);
  for (let row = 0; row < 500_000; row++) scores.add(String(row), row % 4 === 0 ? 1 : 0);
  expect(scores.report).toMatchObject({ rows: 500_000, scored: 500_000, mean: 0.25, pass: [0.25] });
});
