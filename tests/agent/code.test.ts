// The code agent: a user's function, at once or later, and what its mistakes become.

import { describe, expect, test } from "bun:test";
import { createCodeAgent } from "../../src/agent/code.ts";
import type { Task } from "../../src/task/task.ts";
import { taskOf } from "../parts/task.ts";

const task = taskOf({ row: { n: 2 } });
const context = { signal: new AbortController().signal };

const run = async (exported: unknown, settings = {}) =>
  createCodeAgent("a.ts", exported, settings).run(task, context);

describe("a code agent", () => {
  test("answers at once without a promise, or later with one", async () => {
    expect(createCodeAgent("a.ts", () => 1, {}).run(task, context)).toEqual({ result: 1 });
    expect(await run(async () => ({ x: [1] }))).toEqual({ result: { x: [1] } });
  });

  test("is given the task, the role's settings and a signal", async () => {
    const agent = (
      { row }: Task,
      { settings, signal }: { settings: { k: number }; signal: AbortSignal },
    ) => (row["n"] as number) * settings.k + Number(signal.aborted);
    expect(await run(agent, { k: 3 })).toEqual({ result: 6 });
  });

  test("that throws, now or later, is agent_failed with the original as its cause", async () => {
    const broken = new TypeError("x is not a function");
    await expect(run(() => Promise.reject(broken))).rejects.toMatchObject({
      code: "agent_failed",
      message: broken.message,
      cause: broken,
    });
    await expect(
      run(() => {
        throw broken;
      }),
    ).rejects.toMatchObject({ code: "agent_failed", cause: broken });
  });

  test("that returns no JSON is told what and where", async () => {
    await expect(run(() => undefined)).rejects.toThrow(
      "a.ts returned undefined; return JSON, or null for nothing",
    );
    await expect(run(() => ({ a: [{ when: new Date() }] }))).rejects.toThrow(
      "a.ts: result.a[0].when is a Date, which JSON cannot carry",
    );
    await expect(run(async () => Number.NaN)).rejects.toThrow("result is NaN");
  });

  test("cannot change the row or what earlier steps recorded", async () => {
    const row = { n: 2, list: [1] };
    const given = {
      ...task,
      row,
      history: [{ hop: 0, role: "a", host: "h", at: "", queue_ms: 0, run_ms: 0, result: { x: 1 } }],
    };
    const mutations: ((task: Task) => void)[] = [
      ({ row }) => Object.assign(row, { n: 3 }),
      ({ row }) => (row["list"] as unknown as number[]).push(2),
      ({ history }) => Object.assign(history[0]?.result as object, { x: 2 }),
    ];
    for (const mutate of mutations) {
      expect(() => createCodeAgent("a.ts", mutate, {}).run(given, context)).toThrow(
        /readonly|extensible/,
      );
    }
    expect(given).toMatchObject({ row: { n: 2, list: [1] }, history: [{ result: { x: 1 } }] });
  });

  test("that is no function is refused when it is made", () => {
    expect(() => createCodeAgent("a.ts", { run: 1 }, {})).toThrow("a.ts does not export an agent");
  });
});
