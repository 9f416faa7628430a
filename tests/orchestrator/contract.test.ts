import { expect, test } from "bun:test";
import { contextOf, done, END_REASONS, fork, to } from "../../src/orchestrator/contract.ts";
import { ADMITTED, hopOf } from "./walk.ts";

test("to, fork and done make the three decisions, with their defaults", () => {
  expect(to("a")).toEqual({ to: "a", state: null });
  expect(to<number>("a", 0)).toEqual({ to: "a", state: 0 });
  expect(fork([to("a")], null)).toEqual({ fork: [{ to: "a", state: null }], state: null });
  expect(done()).toEqual({ done: "completed", score: null, outcome: null });
  expect(done({ reason: "agreed", score: 0, outcome: {} })).toEqual({
    done: "agreed",
    score: 0,
    outcome: {},
  });
});

test("a rule may give every stop reason but those of the runtime", () => {
  expect([...END_REASONS]).toEqual([
    "completed",
    "agreed",
    "max_turns",
    "filtered",
    "stopped",
    "context_length",
    "refused",
    "content_filtered",
    "cut",
  ]);
});

test("the context of a decision has identity, row and history of the task, and the role", () => {
  const history = [hopOf("a", 1)];
  const context = contextOf({ ...ADMITTED, role: "b", state: 1, history }, "a");
  const { row, id, trial, seed, role } = context;
  expect({ row, id, trial, seed, role }).toEqual({
    row: { n: 3 },
    id: "7",
    trial: 2,
    seed: 11,
    role: "a",
  });
  expect(context.history).toBe(history);
  expect(contextOf({ ...ADMITTED, role: "b", state: 1, history }, null).role).toBeNull();
});
