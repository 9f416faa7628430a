// The agent of a role in a replay: which recorded answer comes next, and when the model is asked.

import { expect, test } from "bun:test";
import type { AgentAnswer } from "../../src/agent/contract.ts";
import { createReplayAgent, type Recorded, type RecordedTasks } from "../../src/agent/recorded.ts";
import type { ReplayWish } from "../../src/agent/replay-wish.ts";
import { branchSeed, deriveSeed } from "../../src/task/seed.ts";
import type { Hop, Task } from "../../src/task/task.ts";
import { agentContext } from "../parts/agent-context.ts";
import { hopOf, taskOf } from "../parts/task.ts";

const context = agentContext();
const USAGE = { requests: 1, prompt_tokens: 2, completion_tokens: 3 };
const NO_WISH: ReplayWish = { roles: ["a", "b"], ask: [], from: null, salt: 9 };
const BRANCH = { of: "h", id: 1 };

interface Replayed {
  readonly accepts?: readonly string[];
  readonly wish?: Partial<ReplayWish>;
  readonly redraws?: number;
  readonly error?: string;
  /** True for records that have to be fetched. */
  readonly isFar?: boolean;
}

function recorded(history: readonly Hop[], replayed: Replayed = {}) {
  const { accepts = [], wish = {}, redraws = 0, isFar = false, error = null } = replayed;
  const record: Recorded = { seed: 42, history, error };
  const found: RecordedTasks = {
    find: ({ rowId }) => {
      const one = rowId === "1" ? record : null;
      return isFar ? Promise.resolve(one) : one;
    },
    redraws: async () => redraws,
  };
  const asked: Task[] = [];
  const asking = {
    run: (task: Task): AgentAnswer => {
      asked.push(task);
      return { result: "asked" };
    },
  };
  const task = (more: Partial<Task> = {}) => taskOf({ seed: 42, ...more });
  const ask = (name: string, more: Partial<Task> = {}) =>
    createReplayAgent({
      ...{ name, accepts: new Set(accepts), recorded: found, asking },
      wish: { ...NO_WISH, ...wish },
    }).run(task(more), context);
  return { ask, asked, task };
}

test("each role gets its own answers in the order of the record, with model, usage and cost", () => {
  const { ask } = recorded([
    hopOf("a", "a1", { model: "m", usage: USAGE, cost: 0.5 }),
    hopOf("b", "b1"),
    hopOf("a", "a2"),
  ]);
  expect(ask("a")).toEqual({ result: "a1", model: "m", usage: USAGE, cost: 0.5 });
  expect(ask("a", { history: [hopOf("a", ""), hopOf("c", "")] })).toStrictEqual({ result: "a2" });
  expect(ask("b", { history: [hopOf("a", ""), hopOf("a", "")] })).toEqual({ result: "b1" });
});

test("the next answer follows from the task alone, however often and wherever it is asked for", () => {
  const { ask } = recorded([hopOf("a", "a1"), hopOf("a", "a2")]);
  const second = { history: [hopOf("a", "")], attempt: 3 };
  for (const _ of [1, 2]) {
    expect(ask("a", second)).toEqual({ result: "a2" });
    expect(ask("a")).toEqual({ result: "a1" });
  }
});

test("an answer that the record does not have is an error that names the role", () => {
  const { ask } = recorded([hopOf("a", "a1")]);
  const past = { history: [hopOf("a", "")] };
  for (const [role, more] of [
    ["a", past],
    ["c", {}],
    ["a", { rowId: "other" }],
  ] as const)
    expect(() => ask(role, more)).toThrow(
      expect.objectContaining({
        code: "not_recorded",
        message: `the record has no further answer of ${role}: the task went on past the record`,
      }),
    );
});

test("a record that has to be fetched gives the same answers", async () => {
  const { ask } = recorded([hopOf("a", "a1")], { isFar: true });
  expect(await ask("a")).toEqual({ result: "a1" });
  await expect(Promise.resolve(ask("a", { rowId: "other" }))).rejects.toThrow("no further answer");
});

test("a branch gets the answers of its own branch of its own fork, and the trunk those of none", () => {
  const { ask } = recorded([
    hopOf("a", "trunk 1"),
    hopOf("a", "first 0", { branch: 0 }),
    hopOf("a", "first 0 again", { branch: 0 }),
    hopOf("a", "first 1", { branch: 1 }),
    hopOf("b", "trunk 2"),
    hopOf("a", "trunk 3"),
    hopOf("a", "second 1", { branch: 1 }),
    hopOf("a", "second 2", { branch: 2 }),
    hopOf("a", "trunk 4"),
  ]);
  const trunk = [hopOf("a", "trunk 1")];
  const branch = (index: number, history: readonly Hop[]) => ({
    ...{ seed: branchSeed(42, index), branch: BRANCH, history },
  });
  expect(ask("a", branch(0, trunk))).toEqual({ result: "first 0" });
  expect(ask("a", branch(0, [...trunk, hopOf("a", "own")]))).toEqual({ result: "first 0 again" });
  expect(ask("a", branch(1, trunk))).toEqual({ result: "first 1" });
  expect(() => ask("a", branch(1, [...trunk, hopOf("a", "own")]))).toThrow("no further answer");
  expect(() => ask("a", branch(2, trunk))).toThrow("no further answer");
  const joined = [...trunk, hopOf("a", "", { branch: 0 }), hopOf("a", "", { branch: 1 })];
  const later = [...joined, hopOf("b", ""), hopOf("a", "")];
  expect(ask("a", { history: joined })).toEqual({ result: "trunk 3" });
  expect(ask("a", branch(1, later))).toEqual({ result: "second 1" });
  expect(ask("a", branch(2, later))).toEqual({ result: "second 2" });
  expect(() => ask("a", branch(0, later))).toThrow("no further answer");
  const last = [...later, hopOf("a", "", { branch: 1 })];
  expect(ask("a", { history: last })).toEqual({ result: "trunk 4" });
  expect(() => ask("a", branch(0, last))).toThrow("no further answer");
});

test("forks that follow each other are told apart where their branches begin again", () => {
  const { ask } = recorded([
    hopOf("a", "first 0", { branch: 0 }),
    hopOf("a", "first 1", { branch: 1 }),
    hopOf("a", "second 0", { branch: 0 }),
  ]);
  const history = [hopOf("a", "", { branch: 0 }), hopOf("a", "", { branch: 1 })];
  const at = (more: Partial<Task>) =>
    ask("a", { seed: branchSeed(42, 0), branch: BRANCH, ...more });
  expect(at({})).toEqual({ result: "first 0" });
  expect(at({ history })).toEqual({ result: "second 0" });
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
    const accepts = ["cut", "content_filtered"];
    expect(recorded([hopOf("a", result)], { accepts }).ask("a")).toEqual({ result });
  },
);

test("a role that is asked asks its model in every step, with the task as it is", async () => {
  const { ask, asked, task } = recorded([hopOf("a", "a1")], { wish: { ask: ["b"] } });
  expect(ask("a")).toEqual({ result: "a1" });
  expect(asked).toEqual([]);
  expect(await ask("b", { history: [hopOf("a", "a1")] })).toEqual({ result: "asked" });
  expect(asked).toEqual([task({ history: [hopOf("a", "a1")] })]);
});

test("every step from a hop or a role on asks its model, with a seed of its own", async () => {
  for (const from of [1, "b"]) {
    const { ask, asked } = recorded([hopOf("a", "a1"), hopOf("a", "a2")], { wish: { from } });
    expect(ask("a")).toEqual({ result: "a1" });
    expect(await ask("b", { history: [hopOf("a", "")] })).toEqual({ result: "asked" });
    expect(await ask("a", { history: [hopOf("a", ""), hopOf("b", "")] })).toEqual({
      result: "asked",
    });
    expect(asked.map(({ seed }) => seed)).toEqual(Array(2).fill(deriveSeed(42, "from", 9)));
  }
});

test("a step that is asked in a retry draws another seed, if the last answer was to blame", async () => {
  const { ask, asked } = recorded([], { wish: { ask: ["a"] }, redraws: 2 });
  await ask("a");
  await ask("a", { attempt: 2 });
  expect(asked.map(({ seed }) => seed)).toEqual([42, deriveSeed(42, "redraw", 2)]);
  const unblamed = recorded([], { wish: { ask: ["a"] } });
  await unblamed.ask("a", { attempt: 2 });
  expect(unblamed.asked.map(({ seed }) => seed)).toEqual([42]);
});

test("a replay repeats the answers that were not used, and the error of a step that failed", () => {
  const usage = { requests: 1, prompt_tokens: 1, completion_tokens: 1 };
  const missed = [{ problem: "not JSON", usage, cost: 2, result: "x" }];
  const hop = hopOf("a", "y", { model: "m", missed });
  context.noted.length = 0;
  expect(recorded([hop]).ask("a")).toEqual({ model: "m", result: "y" });
  const noted = [{ usage, cost: 2, result: "x", model: "m" }, "not JSON"] as const;
  expect(context.noted).toEqual([noted]);
  const failed = { ...hop, error: "schema_mismatch", result: null };
  expect(() => recorded([failed], { error: "it misses" }).ask("a")).toThrow(
    expect.objectContaining({ code: "schema_mismatch", message: "it misses" }),
  );
  expect(context.noted).toEqual([noted, noted]);
  expect(() => recorded([failed]).ask("a")).toThrow("the recorded step failed");
});
