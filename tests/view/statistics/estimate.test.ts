// Means with their intervals, over rows.

import { expect, test } from "bun:test";
import {
  differenceOf,
  estimateOf,
  rowMeans,
  tQuantile,
} from "../../../src/view/statistics/estimate.ts";
import { type Row, tableOf } from "../parts/table.ts";

async function meansOf(rows: readonly Row[]): Promise<ReturnType<typeof rowMeans>> {
  const table = tableOf(rows);
  const scores = await table.numbers("score");
  return rowMeans(table, (n) => scores[n] ?? Number.NaN);
}

test("trials of a row are one observation, their mean, and rows without a score are none", async () => {
  const means = await meansOf([
    { id: "a", score: 1 },
    { id: "b", score: 0.25 },
    { id: "a", trial: 1, score: 0 },
    { id: "a", trial: 2, score: 0 },
    { id: "a", trial: 3, score: 0 },
    { id: "c" },
  ]);
  expect(means.count).toBe(5);
  expect([...means.means].sort()).toEqual([0.25, 0.25]);
  expect([...means.places].sort()).toEqual([0, 1]);
  expect([...means.keys]).toEqual([...means.keys].sort((a, b) => a - b));
});

test("the interval is that of Student's t", async () => {
  // Mean 0.6, standard deviation 0.2, so 0.6 ± 4.303 × 0.2 / √3.
  const estimate = estimateOf(await meansOf([{ score: 0.4 }, { score: 0.6 }, { score: 0.8 }]));
  expect(estimate?.mean).toBeCloseTo(0.6, 12);
  expect(estimate?.low).toBeCloseTo(0.6 - (4.303 * 0.2) / Math.sqrt(3), 12);
  expect(estimate?.high).toBeCloseTo(0.6 + (4.303 * 0.2) / Math.sqrt(3), 12);
  expect(estimate?.count).toBe(3);
});

test("one row gives a mean without an interval, and an empty run gives neither", async () => {
  const one = [
    { id: "a", score: 1 },
    { id: "a", trial: 1, score: 0 },
  ];
  expect(estimateOf(await meansOf(one))).toEqual({ mean: 0.5, low: null, high: null, count: 2 });
  expect(estimateOf(await meansOf([{}]))).toBeNull();
  expect(differenceOf(new Float64Array(0))).toBeNull();
  expect(differenceOf(Float64Array.of(-0.5))).toEqual({
    delta: -0.5,
    low: null,
    high: null,
    rows: 1,
  });
});

test("a difference has its interval round its mean", () => {
  const difference = differenceOf(Float64Array.of(0, 1));
  expect(difference?.delta).toBe(0.5);
  expect(difference?.low).toBeCloseTo(0.5 - 12.706 * 0.5, 12);
  expect(difference?.high).toBeCloseTo(0.5 + 12.706 * 0.5, 12);
});

test("quantiles of Student's t agree with printed tables", () => {
  const printed: readonly (readonly [number, number])[] = [
    [1, 12.706],
    [2, 4.303],
    [4, 2.776],
    [5, 2.571],
    [6, 2.447],
    [10, 2.228],
    [30, 2.042],
    [120, 1.98],
    [1e6, 1.96],
  ];
  for (const [freedom, quantile] of printed)
    expect(Math.abs(tQuantile(freedom) - quantile)).toBeLessThan(0.003);
});
