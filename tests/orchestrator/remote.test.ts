// A rule in another process: its decisions come later, and mean what they mean at once.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { nextMessage, type Rule, startTask } from "../../src/orchestrator/advance.ts";
import {
  done,
  fork,
  type RemoteOrchestrator,
  type Route,
  to,
} from "../../src/orchestrator/contract.ts";
import { joinMessage } from "../../src/orchestrator/join.ts";
import type { Ending, Message } from "../../src/task/task.ts";
import { ADMITTED, hopOf } from "./walk.ts";

const HOP = hopOf("a", "r");
const OK: Ending = { status: "ok", stopReason: "completed", score: 2, outcome: null, error: null };

function ruleWith(more: Partial<RemoteOrchestrator>): Rule {
  const orchestrator: RemoteOrchestrator = {
    isRemote: true,
    start: async () => to("a", 1),
    next: async () => done(),
    ...more,
  };
  return { orchestrator, roles: new Set(["a", "b"]), maxHops: 9 };
}

async function after(more: Partial<RemoteOrchestrator>, stop: "cut" | null = null) {
  const rule = ruleWith(more);
  const first = await startTask(rule, ADMITTED);
  expect(first).toMatchObject({ kind: "step", task: { role: "a", state: 1 } });
  return nextMessage(rule, first.task, HOP, stop);
}

const errorOf = (message: Message | null) =>
  message?.kind === "end" ? message.ending.error : undefined;

test("a decision takes the task on, with its state and what the rule was given", async () => {
  const given: unknown[] = [];
  const message = await after({
    next: async (state, result, { role, history }) => {
      given.push(state, result, role, history.length);
      return to("b", { n: 2 });
    },
  });
  expect(given).toEqual([1, "r", "a", 1]);
  expect(message).toMatchObject({ kind: "step", task: { role: "b", state: { n: 2 } } });
});

test("a rule that fails later ends the task with its error, and so does a decision that is none", async () => {
  const failed = new MatrixError("program_failed", "the rule raised");
  expect(errorOf(await after({ next: () => Promise.reject(failed) }))).toEqual({
    ...{ code: "orchestrator_failed", message: "the rule raised", role: "a", hop: 0 },
  });
  const odd = errorOf(await after({ next: async () => ({ to: "nobody" }) as Route }));
  expect(odd).toMatchObject({ code: "orchestrator_failed", role: "a", hop: 0 });
  expect(odd?.message).toContain('next() after a routes to "nobody"');
  const start = await startTask(ruleWith({ start: () => Promise.reject(failed) }), ADMITTED);
  expect(errorOf(start)).toMatchObject({ code: "orchestrator_failed", role: null, hop: null });
});

test("a rule in this process must not decide later", async () => {
  const rule = { ...ruleWith({}), orchestrator: { start: async () => to("a"), next: done } };
  const message = await startTask(rule as never, ADMITTED);
  expect(errorOf(message)?.message).toBe(
    "start() returned a promise; a rule must be pure and answer at once",
  );
});

test("unanswered is asked where the rule has it, and else the task ends with that reason", async () => {
  expect(await after({ unanswered: async () => to("b") }, "cut")).toMatchObject({
    task: { role: "b" },
  });
  expect(await after({}, "cut")).toMatchObject({ ending: { stopReason: "cut", score: null } });
});

test("a join that waits leaves the task where it is, and goes to its end when no branch is left", async () => {
  const asked: unknown[] = [];
  const rule = ruleWith({
    start: async () => fork([to("a"), to("b")], "s"),
    join: async (state, ended) => {
      asked.push([state, ended.map((end) => end?.score ?? null)]);
      return null;
    },
  });
  const { task } = await startTask(rule, ADMITTED);
  const ended = { hops: [HOP], ending: OK };
  expect(await joinMessage(rule, task, [ended, null])).toBeNull();
  expect(await joinMessage(rule, task, [ended, ended])).toMatchObject({
    kind: "end",
    ending: { status: "ok", stopReason: "completed" },
  });
  expect(asked).toEqual([
    ["s", [2, null]],
    ["s", [2, 2]],
  ]);
});
