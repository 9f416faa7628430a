// Forecasts as arithmetic: totals from samples, ranges that hold, and the time that the scarcest
// thing leaves.

import { describe, expect, test } from "bun:test";
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

describe("a forecast", () => {
  test("holds what is used nine times of ten, whatever the sample", () => {
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

  test("is exact where all tasks were seen and repeat", () => {
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

  test("takes as long as what is scarcest: tasks in flight, slots, requests in flight, or a rate", () => {
    const time = (change: Partial<Workload>) => {
      const { time_ms, bound_by } = forecast([sampleOf(90), sampleOf(90)], { ...plan, ...change });
      return [Math.round(time_ms.expected), bound_by];
    };
    const [role, model] = [plan.roles[0], plan.models[0]] as [
      Workload["roles"][0],
      Workload["models"][0],
    ];
    expect(time({})).toEqual([100_000, "run.concurrency = 10"]);
    expect(time({ roles: [{ ...role, concurrency: 5 }] })).toEqual([
      200_000,
      "roles.a.concurrency",
    ]);
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

  test("of a large run ends when the last of its slow tasks do", () => {
    const samples = [...Array.from({ length: 9 }, () => sampleOf(1, 1000)), sampleOf(1, 50_000)];
    const { time_ms } = forecast(samples, { ...plan, tasks: 20, concurrency: 20 });
    expect(time_ms.high).toBe(50_000);
    const { time_ms: long } = forecast(samples, { ...plan, tasks: 1_000_000 });
    expect(long.expected / ((1_000_000 * 5900) / 10)).toBeCloseTo(1, 0.7);
  });

  test("lets the longest branch of several count, and what is done before and after", () => {
    const hop = (run_ms: number, branch?: number) =>
      ({ run_ms, ...(branch === undefined ? {} : { branch }) }) as Hop;
    expect(durationOf([hop(10), hop(100, 0), hop(50, 0), hop(120, 1), hop(1), hop(7, 1)])).toBe(
      10 + 150 + 1 + 7,
    );
  });
});
