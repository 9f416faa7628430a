// Recorded answers, given again in order.

import { expect, test } from "bun:test";
import { Recordings } from "../../src/agent/recording.ts";
import { branchSeed } from "../../src/task/seed.ts";
import type { Hop, Task } from "../../src/task/task.ts";
import { agentContext } from "../parts/agent-context.ts";
import { hopOf, taskOf } from "../parts/task.ts";

const context = agentContext();
const USAGE = { requests: 1, prompt_tokens: 2, completion_tokens: 3 };

function recorded(history: readonly Hop[], accepts: readonly string[] = []) {
  const row = { q: 1 };
  const recordings = new Recordings();
  recordings.add({ row, seed: 42, history });
  const task = (more: Partial<Task> = {}) => taskOf({ row, seed: 42, ...more });
  const ask = (role: string, given: Task = task()) =>
    recordings.createAgent(role, new Set(accepts)).run(given, context);
  return { ask, task };
}

test("each role gets its own answers in the order of the record, with model, usage and cost", () => {
  const { ask } = recorded([
    hopOf("a", "a1", { model: "m", usage: USAGE, cost: 0.5 }),
    hopOf("b", "b1"),
    hopOf("a", "a2"),
  ]);
  expect(ask("a")).toEqual({ result: "a1", model: "m", usage: USAGE, cost: 0.5 });
  expect(ask("a")).toStrictEqual({ result: "a2" });
  expect(ask("b")).toStrictEqual({ result: "b1" });
});

test("an answer that the record does not have is an error that names the role", () => {
  const { ask } = recorded([hopOf("a", "a1")]);
  ask("a");
  for (const role of ["a", "c"])
    expect(() => ask(role)).toThrow(
      expect.objectContaining({
        code: "not_recorded",
        message: `the record has no further answer of ${role}: the task went on past the record`,
      }),
    );
});

test("a task finds its record by the very object of its row", () => {
  const { ask, task } = recorded([hopOf("a", "a1")]);
  expect(() => ask("a", task({ row: { q: 1 } }))).toThrow("no further answer of a");
  expect(ask("a")).toEqual({ result: "a1" });
});

test("a new attempt begins with the first answer again", () => {
  const { ask, task } = recorded([hopOf("a", "a1"), hopOf("a", "a2")]);
  ask("a");
  expect(ask("a", task({ attempt: 2 }))).toEqual({ result: "a1" });
  expect(ask("a", task({ attempt: 2 }))).toEqual({ result: "a2" });
});

test("a branch gets the answers of its own branch, and the trunk those of no branch", () => {
  const { ask, task } = recorded([
    hopOf("a", "b2", { branch: 2 }),
    hopOf("a", "b1", { branch: 1 }),
    hopOf("a", "trunk"),
    hopOf("a", "b0", { branch: 0 }),
    hopOf("a", "b0 again", { branch: 0 }),
  ]);
  const branch = (index: number) =>
    task({ seed: branchSeed(42, index), branch: {} as NonNullable<Task["branch"]> });
  expect(ask("a", branch(0))).toEqual({ result: "b0" });
  expect(ask("a", branch(1))).toEqual({ result: "b1" });
  expect(ask("a", branch(2))).toEqual({ result: "b2" });
  expect(ask("a")).toEqual({ result: "trunk" });
  expect(ask("a", branch(0))).toEqual({ result: "b0 again" });
  expect(() => ask("a", branch(3))).toThrow("no further answer");
});

test.each([
  ["length", "cut"],
  ["content_filter", "content_filtered"],
  ["stop", undefined],
  [undefined, undefined],
  [5, undefined],
])(
  "an answer that ended by %p ends the task with %p, unless the role accepts it",
  (reason, stop) => {
    const result = { content: "x", ...(reason === undefined ? {} : { finish_reason: reason }) };
    const expected = stop === undefined ? { result } : { result, stop };
    expect(recorded([hopOf("a", result)]).ask("a")).toEqual(expected as never);
    expect(recorded([hopOf("a", result)], ["cut", "content_filtered"]).ask("a")).toEqual({
      result,
    });
  },
);

test("a replay repeats the answers that were not used, and the error of a step that failed", async () => {
  const usage = { requests: 1, prompt_tokens: 1, completion_tokens: 1 };
  const missed = [{ problem: "not JSON", usage, cost: 2, result: "x" }];
  const base = { hop: 0, role: "a", host: "h", at: "", queue_ms: 0, run_ms: 0, model: "m", missed };
  const replay = async (hop: Hop, message?: string) => {
    const recordings = new Recordings();
    const task = taskOf({ row: {} });
    const error = message === undefined ? null : { code: "x", message, role: "a", hop: 0 };
    recordings.add({ row: task.row, seed: task.seed, history: [hop], error });
    const context = agentContext();
    const answer = await Promise.resolve()
      .then(() => recordings.createAgent("a", new Set()).run(task, context))
      .catch((thrown: unknown) => thrown);
    return { answer, noted: context.noted };
  };
  const noted = [[{ usage, cost: 2, result: "x", model: "m" }, "not JSON"]];
  const ok = await replay({ ...base, result: "y" });
  expect(ok).toEqual({ answer: { model: "m", result: "y" }, noted } as never);
  const failed = await replay({ ...base, error: "schema_mismatch", result: null }, "it misses");
  expect(failed.answer).toMatchObject({ code: "schema_mismatch", message: "it misses" });
  expect(failed.noted).toEqual(noted as never);
});
