// Histograms, the time line and groups of errors.

import { expect, test } from "bun:test";
import { errorGroups } from "../../../src/view/statistics/error-groups.ts";
import { histogramOf } from "../../../src/view/statistics/histogram.ts";
import { timeLineOf } from "../../../src/view/statistics/time-line.ts";
import { tableOf } from "../parts/table.ts";

test("shares have bins from 0 to 1, and a bin holds its lower edge, the last one both", () => {
  const histogram = histogramOf([0, 0.5, 1, 1, Number.NaN]);
  expect(histogram?.edges[0]).toBe(0);
  expect(histogram?.edges[30]).toBe(1);
  expect(histogram?.counts.length).toBe(30);
  expect([0, 15, 29].map((bin) => histogram?.counts[bin])).toEqual([1, 1, 2]);
  expect(histogram?.total).toBe(4);
  expect(histogram?.mean).toBe(0.625);
});

test("few whole numbers have a bin each", () => {
  const histogram = histogramOf([3, 5, 5, 6]);
  expect(histogram?.edges).toEqual([3, 4, 5, 6, 7]);
  expect(histogram?.counts).toEqual([1, 0, 2, 1]);
  expect(histogram?.scale).toBe("linear");
});

test("values that span more than two powers of ten have bins of equal ratio", () => {
  expect(histogramOf([1, 100])?.scale).toBe("linear");
  const histogram = histogramOf([1, 10, 1000.5]);
  expect(histogram?.scale).toBe("log");
  expect(histogram?.edges.at(-1)).toBe(1000.5);
  expect(histogram?.counts.reduce((sum, count) => sum + count, 0)).toBe(3);
  expect(histogram?.counts.at(-1)).toBe(1);
  // A zero has no ratio.
  expect(histogramOf([0, 1000])?.scale).toBe("linear");
});

test("equal values have one bin", () => {
  expect(histogramOf([7, 7])).toMatchObject({ edges: [7, 7], counts: [2], min: 7, max: 7 });
});

test("quantiles are values of the column", () => {
  const values = Array.from({ length: 100 }, (_, n) => n + 1);
  expect(histogramOf(values)).toMatchObject({ p50: 50, p95: 95, p99: 99, min: 1, max: 100 });
  expect(histogramOf([4])).toMatchObject({ p50: 4, p95: 4, p99: 4 });
});

test("a column without values has no histogram", () => {
  expect(histogramOf([])).toBeNull();
  expect(histogramOf([Number.NaN])).toBeNull();
});

test("records are counted in the step in which they ended, by status", () => {
  const status = { codes: [1, 2, 1, 3, 1], strings: ["", "ok", "failed", "lost"] };
  const line = timeLineOf([1000, 1050, 1100, 1350, Number.NaN], status);
  expect(line).toEqual({
    from: 1000,
    stepMs: 100,
    ok: [1, 1, 0, 0],
    failed: [1, 0, 0, 0],
    lost: [0, 0, 0, 1],
  });
});

test("a long run has at most 120 steps of a length that people can read", () => {
  const status = { codes: [1, 1], strings: ["", "ok"] };
  const hour = 3_600_000;
  const line = timeLineOf([0, 10 * hour], status);
  expect(line?.stepMs).toBe(10 * 60_000);
  expect(line?.ok.length).toBe(61);
  expect(line?.ok.at(-1)).toBe(1);
  expect(timeLineOf([Number.NaN], status)).toBeNull();
});

test("errors are grouped by code and message; the largest group comes first, with five examples", async () => {
  const same = Array.from({ length: 6 }, (_, n) => ({
    id: `t${n}`,
    error: "timeout",
    message: "m",
  }));
  const rows = [
    { id: "a", error: "agent_failed", message: "x" },
    ...same,
    { id: "b", trial: 1, error: "timeout", message: "other" },
    { id: "c" },
  ];
  const all = Uint32Array.from(rows, (_, n) => n);
  const { groups, more } = await errorGroups(tableOf(rows), all);
  expect(groups.map(({ code, message, count }) => [code, message, count])).toEqual([
    ["timeout", "m", 6],
    ["agent_failed", "x", 1],
    ["timeout", "other", 1],
  ]);
  expect(groups[0]?.examples.length).toBe(5);
  expect(groups[2]?.examples).toEqual([{ id: "b", trial: 1 }]);
  expect(more).toBe(0);
  const some = await errorGroups(tableOf(rows), Uint32Array.of(0));
  expect(some.groups.map(({ code }) => code)).toEqual(["agent_failed"]);
});

test("errors beyond 100 groups are only counted", async () => {
  const rows = Array.from({ length: 102 }, (_, n) => ({ error: "e", message: String(n) }));
  const { groups, more } = await errorGroups(
    tableOf(rows),
    Uint32Array.from(rows, (_, n) => n),
  );
  expect([groups.length, more]).toEqual([100, 2]);
});
