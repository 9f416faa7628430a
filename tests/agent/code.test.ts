// The code agent: a user's function, with or without a promise, and what becomes of its mistakes.

import { expect, test } from "bun:test";
import { createCodeAgent } from "../../src/agent/code.ts";
import { MatrixError } from "../../src/error.ts";
import { ExactNumber } from "../../src/task/exact.ts";
import type { Task } from "../../src/task/task.ts";
import { agentContext } from "../parts/agent-context.ts";
import { nested } from "../parts/nested.ts";
import { hopOf, taskOf } from "../parts/task.ts";

const task = taskOf({ row: { n: 2 } });
const context = agentContext();

const run = async (exported: unknown, settings = {}) =>
  createCodeAgent("a.ts", exported, settings).run(task, context);

test("a function that returns a value answers without a promise, and one that returns a promise later", async () => {
  expect(createCodeAgent("a.ts", () => 1, {}).run(task, context)).toEqual({ result: 1 });
  expect(await run(async () => ({ x: [1] }))).toEqual({ result: { x: [1] } });
  // biome-ignore lint/suspicious/noThenProperty: a thenable of the user's own
  const thenable = { then: (resolve: (value: number) => void) => resolve(7) };
  expect(await run(() => thenable)).toEqual({ result: 7 });
  expect(await run(() => null)).toEqual({ result: null });
});

test("a function gets the task, the role's settings and the step's signal", async () => {
  const seen: unknown[] = [];
  await run(
    (given: Task, { settings, signal }: { settings: unknown; signal: AbortSignal }) => {
      seen.push(given, settings, signal);
      return null;
    },
    { k: 3 },
  );
  expect(seen).toEqual([task, { k: 3 }, context.signal]);
});

const broken = new TypeError("x is not a function");
const throwing = () => {
  throw broken;
};

test.each([
  ["throws", throwing],
  ["rejects", () => Promise.reject(broken)],
])(
  "a function that %s fails with agent_failed, its message and its error as the cause",
  async (_how, agent) => {
    await expect(run(agent)).rejects.toMatchObject({
      code: "agent_failed",
      message: broken.message,
      cause: broken,
    });
  },
);

test("an error with a code of ours keeps it", async () => {
  const own = new MatrixError("model_failed", "no");
  await expect(run(() => Promise.reject(own))).rejects.toBe(own);
  const thrower = () => {
    throw own;
  };
  await expect(run(thrower)).rejects.toBe(own);
});

test.each([
  [() => undefined, "a.ts returned undefined; return JSON, or null for nothing"],
  [async () => undefined, "a.ts returned undefined; return JSON, or null for nothing"],
  [
    () => ({ a: [{ when: new Date() }] }),
    "a.ts: result.a[0].when is a Date, which JSON cannot carry",
  ],
  [async () => Number.NaN, "a.ts: result is NaN, which JSON cannot carry"],
  [() => [Number.POSITIVE_INFINITY], "a.ts: result[0] is Infinity, which JSON cannot carry"],
  [() => ({ f: () => 1 }), "a.ts: result.f is function, which JSON cannot carry"],
  [() => new Map(), "a.ts: result is a Map, which JSON cannot carry"],
  [
    () => ({ f: Object.setPrototypeOf(() => 1, null) }),
    "a.ts: result.f is function, which JSON cannot carry",
  ],
  [() => ({ s: Symbol("x") }), "a.ts: result.s is symbol, which JSON cannot carry"],
])("a result that is not JSON is named with its place (%#)", async (agent, message) => {
  await expect(run(agent)).rejects.toMatchObject({ code: "agent_failed", message });
});

test.each([
  ["text"],
  [{ id: 2n ** 64n, price: [new ExactNumber("1e400")] }],
  [false],
  [0],
  [-1.5],
  [{ a: undefined, b: [null, { c: "" }] }],
  [Object.assign(Object.create(null), { bare: 1 })],
])("a result that JSON carries is taken (%#)", async (result) => {
  expect(await run(() => result)).toEqual({ result });
});

test("sixteen results of an agent are checked, and later ones are not", async () => {
  let result: unknown = 1;
  const agent = createCodeAgent("a.ts", () => result, {});
  const steps = (count: number) => {
    for (let step = 0; step < count; step++) agent.run(taskOf(), context);
  };
  steps(15);
  result = new Date();
  expect(() => agent.run(taskOf(), context)).toThrow("is a Date");
  expect(agent.run(taskOf(), context)).toEqual({ result: result as never });
});

test.each([
  ["the task", (given: Task) => Object.assign(given, { seed: 3 })],
  ["the row", ({ row }: Task) => Object.assign(row, { n: 3 })],
  ["a list of the row", ({ row }: Task) => (row["list"] as unknown as number[]).push(2)],
  ["the state", ({ state }: Task) => Object.assign(state as object, { s: 2 })],
  ["the history", ({ history }: Task) => (history as unknown[]).push(1)],
  [
    "an earlier result",
    ({ history }: Task) => Object.assign(history[0]?.result as object, { x: 2 }),
  ],
])("a function cannot change %s", (_part, mutate) => {
  const given = taskOf({
    row: { n: 2, list: [1] },
    state: { s: 1 },
    history: [hopOf("a", { x: 1 })],
  });
  expect(() => createCodeAgent("a.ts", mutate, {}).run(given, context)).toThrow(
    /readonly|extensible/,
  );
  expect(given).toMatchObject({
    seed: 1,
    row: { n: 2, list: [1] },
    state: { s: 1 },
    history: [{ result: { x: 1 } }],
  });
});

test.each([undefined, null, {}, "text"])("a module that exports %p is refused", (exported) => {
  expect(() => createCodeAgent("a.ts", exported, {})).toThrow(
    expect.objectContaining({
      code: "module_invalid",
      message: "a.ts does not export an agent function",
      hint: "export default agent((task, { signal, settings }) => result)",
    }),
  );
});

test("a result that is nested too deeply, or contains itself, fails with a code of its own", async () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  for (const result of [nested(257), loop])
    await expect(run(() => result)).rejects.toMatchObject({
      code: "task_too_deep",
      message: expect.stringMatching(/^what .* returned is nested more than 256 levels deep$/),
      hint: "a value that contains itself is nested without end",
    });
  expect(await run(() => nested(256))).toMatchObject({ result: nested(256) });
});
