// The usage of a run by role and by model.

import { expect, test } from "bun:test";
import { renderUsage, UsageTally } from "../../../src/cli/text/usage.ts";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import type { Usage } from "../../../src/task/task.ts";
import { hopOf, recordOf } from "../../parts/record.ts";

const usageOf = (requests: number, prompt_tokens: number, completion_tokens: number): Usage => ({
  requests,
  prompt_tokens,
  completion_tokens,
});
const reportOf = (records: readonly TrajectoryRecord[]) => {
  const tally = new UsageTally();
  for (const record of records) tally.add(record);
  return tally.report;
};
const took = (total_ms: number) => ({ ...recordOf().timing, total_ms });

test("usage and cost are added up by role, by model and over tasks", () => {
  const priced = { model: "m", usage: usageOf(2, 30, 4), cost: 0.5, run_ms: 10 };
  const free = { model: "m", usage: usageOf(1, 5, 6), run_ms: 10 };
  const records = [
    recordOf({
      history: [hopOf("student", priced), hopOf("judge", { run_ms: 10 }), hopOf("student", free)],
      usage: usageOf(3, 35, 10),
      cost: 0.5,
      timing: took(10),
    }),
    recordOf({ history: [hopOf("student", priced)], usage: usageOf(2, 30, 4), timing: took(10) }),
  ];
  const ms = { p50: 9.959, p95: 9.959, p99: 9.959 };
  const report = reportOf(records);
  expect(report).toEqual({
    roles: [
      { name: "student", count: 3, ...usageOf(5, 65, 14), cost: 1, ms },
      { name: "judge", count: 1, ...usageOf(0, 0, 0), cost: null, ms },
    ],
    models: [{ name: "m", count: 3, ...usageOf(5, 65, 14), cost: 1, ms }],
    tasks: { name: "tasks", count: 2, ...usageOf(5, 65, 14), cost: 0.5, ms },
  });
});

test("quantiles of durations are within half a percent of the exact ones", () => {
  const records = Array.from({ length: 1000 }, (_, i) => recordOf({ timing: took(i + 1) }));
  const { p50, p95, p99 } = reportOf(records).tasks.ms;
  expect(Math.abs(p50 / 500 - 1)).toBeLessThan(0.0051);
  expect(Math.abs(p95 / 950 - 1)).toBeLessThan(0.0051);
  expect(Math.abs(p99 / 990 - 1)).toBeLessThan(0.0051);
});

test("a quantile is a duration that was there: of two, the lower one is the median", () => {
  const { p50, p95 } = reportOf([recordOf({ timing: took(100) }), recordOf({ timing: took(1) })])
    .tasks.ms;
  expect([p50, Math.round(p95)]).toEqual([1, 100]);
  expect(reportOf([recordOf({ timing: took(30) })]).tasks.ms.p50).toBe(30.055);
});

test("a duration of no time counts as a microsecond, and no durations as 0 ms", () => {
  expect(reportOf([recordOf()]).tasks.ms.p50).toBe(0.001);
  expect(reportOf([]).tasks.ms).toEqual({ p50: 0, p95: 0, p99: 0 });
});

test("the table has a part for roles, one for models and one for whole tasks", () => {
  const line = { count: 1200, ...usageOf(1300, 14_000, 15_000) };
  const text = renderUsage({
    roles: [{ name: "student", ...line, cost: 1.23456, ms: { p50: 99.94, p95: 100, p99: 1234.4 } }],
    models: [{ name: "m", ...line, cost: null, ms: { p50: 0, p95: 5, p99: 50 } }],
    tasks: { name: "tasks", ...line, cost: 2, ms: { p50: 1, p95: 2, p99: 3 } },
  });
  expect(text.split("\n")).toEqual([
    "role          hops  requests  tokens in  cached  tokens out    cost  p50 ms  p95 ms  p99 ms",
    "student      1,200     1,300     14,000       0      15,000  1.2346    99.9     100   1,234",
    "model",
    "m            1,200     1,300     14,000       0      15,000       -     0.0     5.0    50.0",
    "whole tasks",
    "tasks        1,200     1,300     14,000       0      15,000  2.0000     1.0     2.0     3.0",
  ]);
});

test("a report shows cached tokens and says which costs were stated and which tokens estimated", () => {
  const usage: Usage = { ...usageOf(3, 30, 4), cached_tokens: 1234 };
  const line = { count: 1, cost: 2, ms: { p50: 1, p95: 2, p99: 3 } };
  const lines = (more: Partial<Usage>) =>
    renderUsage({
      roles: [],
      models: [],
      tasks: { name: "tasks", ...usage, ...more, ...line },
    }).split("\n");
  expect(lines({}).at(-1)).toContain(" 1,234 ");
  expect(lines({ stated_cost: 0.5, estimated_requests: 1000 }).slice(-4)).toEqual([
    "",
    "of the cost, 0.5000 was stated by the endpoint",
    "",
    "the tokens of 1,000 requests are estimates",
  ]);
  const paid = { model: "m", usage: { ...usage, reasoning_tokens: 2 }, cost: 0.1 };
  const report = reportOf([
    recordOf({ history: [hopOf("a", paid), hopOf("a", { ...paid, cost: 0.2 })], usage, cost: 0.3 }),
  ]);
  expect(report.roles[0]).toMatchObject({ cached_tokens: 2468, reasoning_tokens: 4, cost: 0.3 });
});
