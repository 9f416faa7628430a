// Forecasts as arithmetic: totals from samples, ranges that hold, and the time that the scarcest
// resource leaves.

import { expect, test } from "bun:test";
import {
  durationOf,
  forecast,
  type Sample,
  type Workload,
} from "../../../src/run/forecast/forecast.ts";
import { createRandom } from "../../../src/task/seed.ts";
import type { Hop } from "../../../src/task/task.ts";

const plan: Workload = {
  tasks: 1000,
  isRepeatable: false,
  concurrency: 10,
  hosts: 1,
  roles: [{ name: "a", model: "m", concurrency: 1000 }],
  models: [{ name: "m", concurrency: 1000, rpm: null, tpm: null }],
};

const sampleOf = (tokens: number, ms = 1000): Sample => ({
  asks: [
    {
      role: "a",
      requests: 1,
      prompt_tokens: tokens,
      completion_tokens: 10,
      cost: tokens / 1000,
      ms,
    },
  ],
  ms,
});

test("the range of a forecast holds what is used nine times of ten, whatever the sample", () => {
  const [tasks, runs] = [400, 400];
  let held = 0;
  for (let seed = 0; seed < runs; seed++) {
    const random = createRandom(seed);
    // Skewed, as lengths are: few tasks are long.
    const draw = () => Math.round(100 * Math.exp(random() * 2));
    const { prompt_tokens: made } = forecast(
      Array.from({ length: 60 }, () => sampleOf(draw())),
      { ...plan, tasks },
    );
    const used = Array.from({ length: tasks }, draw).reduce((sum, tokens) => sum + tokens, 0);
    if (made.low <= used && used <= made.high) held++;
  }
  expect(held / runs).toBeGreaterThan(0.86);
  expect(held / runs).toBeLessThan(0.94);
});

test("a forecast is exact where all tasks were seen and repeat", () => {
  const made = forecast([sampleOf(100), sampleOf(300)], {
    ...plan,
    tasks: 2,
    isRepeatable: true,
  });
  expect(made.prompt_tokens).toEqual({ expected: 400, low: 400, high: 400 });
  expect(made.time_ms).toEqual({ expected: 1000, low: 1000, high: 1000 });
  expect(made.roles).toEqual([
    { name: "a", requests: 2, prompt_tokens: 400, completion_tokens: 20, cost: 0.4 },
  ]);
});

test("a run takes as long as its scarcest resource lets it: tasks in flight, slots, requests in flight, or a rate", () => {
  const time = (change: Partial<Workload>) => {
    const { time_ms, bound_by } = forecast([sampleOf(90), sampleOf(90)], { ...plan, ...change });
    return [Math.round(time_ms.expected), bound_by];
  };
  const [role, model] = [plan.roles[0], plan.models[0]] as [
    Workload["roles"][0],
    Workload["models"][0],
  ];
  expect(time({})).toEqual([100_000, "run.concurrency = 10"]);
  expect(time({ roles: [{ ...role, concurrency: 5 }] })).toEqual([200_000, "roles.a.concurrency"]);
  expect(time({ roles: [{ ...role, concurrency: 5 }], hosts: 4 })).toEqual([
    100_000,
    "run.concurrency = 10",
  ]);
  expect(time({ models: [{ ...model, concurrency: 2 }] })).toEqual([
    500_000,
    "models.m.concurrency",
  ]);
  expect(time({ models: [{ ...model, rpm: 60 }] })).toEqual([1_000_000, "models.m.rpm = 60"]);
  expect(time({ models: [{ ...model, tpm: 6000 }] })).toEqual([1_000_000, "models.m.tpm = 6000"]);
});

test("a run ends when the last of its slow tasks does", () => {
  const samples = [...Array.from({ length: 9 }, () => sampleOf(1, 1000)), sampleOf(1, 50_000)];
  const { time_ms } = forecast(samples, { ...plan, tasks: 20, concurrency: 20 });
  expect(time_ms.high).toBe(50_000);
  const { time_ms: long } = forecast(samples, { ...plan, tasks: 1_000_000 });
  expect(long.expected / ((1_000_000 * 5900) / 10)).toBeCloseTo(1, 0.7);
});

test("a task with branches takes as long as its longest branch, and the steps before and after", () => {
  const hop = (run_ms: number, branch?: number) =>
    ({ run_ms, ...(branch === undefined ? {} : { branch }) }) as Hop;
  expect(durationOf([hop(10), hop(100, 0), hop(50, 0), hop(120, 1), hop(1), hop(7, 1)])).toBe(
    10 + 150 + 1 + 7,
  );
});

test("branches at the end of a task count, and a task without a hop takes no time", () => {
  const hop = (run_ms: number, branch?: number) =>
    ({ run_ms, ...(branch === undefined ? {} : { branch }) }) as Hop;
  expect(durationOf([])).toBe(0);
  expect(durationOf([hop(3), hop(4)])).toBe(7);
  // A branch whose number is higher than the number of branches that came back.
  expect(durationOf([hop(5, 2)])).toBe(5);
  expect(durationOf([hop(5, 2), hop(10)])).toBe(15);
  expect(durationOf([hop(1, 0), hop(2, 1), hop(10), hop(1, 0), hop(3, 1)])).toBe(2 + 10 + 3);
});

test("the figures of a forecast are those of its samples for all tasks, by role", () => {
  const ask = (role: string, requests: number, cost: number | null) => ({
    ...{ role, requests, prompt_tokens: 10 * requests, completion_tokens: requests, cost },
    ms: 1000,
  });
  const roles = [
    { name: "a", model: "m", concurrency: 1000 },
    { name: "b", model: "m", concurrency: 1000 },
    { name: "code", model: null, concurrency: 1000 },
  ];
  const samples: Sample[] = [
    { asks: [ask("a", 1, 0.5), ask("b", 2, null)], ms: 2000 },
    { asks: [ask("a", 3, 0.25)], ms: 1000 },
  ];
  const made = forecast(samples, { ...plan, roles, tasks: 10 });
  expect(made.roles).toEqual([
    { name: "a", requests: 20, prompt_tokens: 200, completion_tokens: 20, cost: 3.75 },
    { name: "b", requests: 10, prompt_tokens: 100, completion_tokens: 10, cost: null },
  ]);
  expect(made.requests).toEqual({ expected: 30, low: 30, high: 30 });
  expect(made.prompt_tokens.expected).toBe(300);
  expect(made.completion_tokens.expected).toBe(30);
  expect(made.tokens.expected).toBe(330);
  expect(made.cost?.expected).toBe(3.75);
  expect(forecast([{ asks: [ask("b", 1, null)], ms: 1 }], { ...plan, roles }).cost).toBeNull();
});

test("the width of a range comes from both the sample and the tasks, and never goes below 0", () => {
  const tokens = (isRepeatable: boolean, tasks: number) =>
    forecast([sampleOf(100), sampleOf(300)], { ...plan, tasks, isRepeatable }).prompt_tokens;
  // The samples have a mean of 200 and a variance of 20,000.
  const spread = 1.645 * Math.sqrt((20 ** 2 * 20_000) / 2 + 20 * 20_000);
  expect(tokens(false, 20).expected).toBe(4000);
  expect(tokens(false, 20).low).toBeCloseTo(4000 - spread, 6);
  expect(tokens(false, 20).high).toBeCloseTo(4000 + spread, 6);
  const rest = 1.645 * Math.sqrt(((20 ** 2 * 20_000) / 2) * (1 - 2 / 20));
  expect(tokens(true, 20).high).toBeCloseTo(4000 + rest, 6);
  expect(tokens(true, 1).low).toBe(200);
  // One sample says nothing of the others: they may be twice as much, or nothing.
  const one = forecast([sampleOf(100)], { ...plan, tasks: 1 }).prompt_tokens;
  expect(one.low).toBe(0);
  expect(one.high).toBeCloseTo(100 + 1.645 * Math.sqrt(100 ** 2 * 2), 6);
});

test("tasks in flight take the place that is free first", () => {
  const time = (durations: readonly number[], concurrency: number) =>
    forecast(
      durations.map((ms) => sampleOf(1, ms)),
      { ...plan, roles: [], models: [], tasks: durations.length, isRepeatable: true, concurrency },
    ).time_ms;
  const exact = (ms: number) => ({ expected: ms, low: ms, high: ms });
  expect(time([5, 1, 1, 1, 1], 1)).toEqual(exact(9));
  expect(time([5, 1, 1, 1, 1], 2)).toEqual(exact(5));
  expect(time([1, 2, 3, 4, 5, 6], 2)).toEqual(exact(12));
  expect(time([1, 2, 3, 4, 5, 6], 3)).toEqual(exact(9));
  expect(time([3, 1, 2, 9, 9, 9, 1, 1, 1], 4)).toEqual(exact(11));
  expect(time([7, 7], 100)).toEqual(exact(7));
  expect(time([0.5], 1)).toEqual(exact(0.5));
});

test("tasks beyond 5000 go on at the pace of the samples", () => {
  const { time_ms } = forecast([sampleOf(1, 10), sampleOf(1, 10)], {
    ...{ ...plan, roles: [], models: [], tasks: 10_000, concurrency: 10 },
  });
  expect(time_ms).toEqual({ expected: 10_000, low: 10_000, high: 10_000 });
});

test("an ask without a cost adds nothing to the cost of its role", () => {
  const [priced] = sampleOf(100).asks;
  if (priced === undefined) throw new Error("a sample has an ask");
  const made = forecast([{ asks: [priced, { ...priced, cost: null }], ms: 1 }], plan);
  expect(made.roles[0]?.cost).toBeCloseTo(1000 * 0.1, 6);
  expect(made.cost?.expected).toBeCloseTo(1000 * 0.1, 6);
});

test("the slots of a role are held up by its own steps alone, and a model by its own requests", () => {
  const ask = (role: string, ms: number) => ({
    ...{ role, requests: 1, prompt_tokens: 90, completion_tokens: 10, cost: null, ms },
  });
  const samples = [{ asks: [ask("a", 1000), ask("b", 10)], ms: 1010 }];
  const roles = [
    { name: "a", model: "m", concurrency: 1000 },
    { name: "b", model: "n", concurrency: 1 },
  ];
  const model = { concurrency: 1000, rpm: null, tpm: null };
  const models = [
    { ...model, name: "m" },
    { ...model, name: "n", concurrency: 1, rpm: 6000, tpm: 600_000 },
  ];
  const made = forecast(samples, { ...plan, roles, models, tasks: 1000 });
  expect([made.bound_by, made.time_ms.expected]).toEqual(["run.concurrency = 10", 101_000]);
});

test("the time of a run has a range when its tasks differ", () => {
  const samples = [1000, 2000, 3000, 9000].map((ms) => sampleOf(1, ms));
  const { time_ms } = forecast(samples, { ...plan, tasks: 50 });
  expect(time_ms.low).toBeLessThan(time_ms.expected);
  expect(time_ms.expected).toBeLessThan(time_ms.high);
});

test("the time of a run is exact when all its tasks were seen and repeat, and drawn otherwise", () => {
  const time = (ms: readonly number[], tasks: number, isRepeatable: boolean) =>
    forecast(
      ms.map((one) => sampleOf(1, one)),
      { ...plan, roles: [], models: [], tasks, isRepeatable, concurrency: 1 },
    ).time_ms;
  expect(time([10, 30], 2, true)).toEqual({ expected: 40, low: 40, high: 40 });
  // The same number of tasks, but others than the samples.
  const others = time([10, 30], 2, false);
  expect([others.low, others.high]).toEqual([20, 60]);
  // More tasks than samples.
  expect(time([10, 10], 20, true)).toEqual({ expected: 200, low: 200, high: 200 });
});
