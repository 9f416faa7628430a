// What a rule can get wrong ends the task with an error that says so, and keeps the history.

import { describe, expect, test } from "bun:test";
import { nextMessage, type Rule, startTask } from "../../src/orchestrator/advance.ts";
import { done, type Orchestrator, to } from "../../src/orchestrator/contract.ts";
import type { Hop, Message } from "../../src/task/task.ts";

const admitted = { rowId: "7", trial: 0, row: {}, seed: 1, attempt: 1, admittedAt: 0, trace: null };
const hop: Hop = { hop: 0, role: "a", host: "h", at: "", queue_ms: 0, run_ms: 0, result: "r" };

function ruleWith(next: () => unknown, maxHops = 9): Rule {
  return {
    orchestrator: { start: () => to("a"), next: next as Orchestrator["next"] },
    roles: new Set(["a", "b"]),
    maxHops,
  };
}

function after(rule: Rule): Message {
  const first = startTask(rule, admitted);
  if (first.kind !== "step") throw new Error("the task did not start");
  return nextMessage(rule, first.task, hop);
}

function errorOf(message: Message): string {
  return message.kind === "end"
    ? `${message.ending.error?.code}: ${message.ending.error?.message}`
    : "no end";
}

describe("a rule's decision", () => {
  test("to a role carries the state and the history on", () => {
    const message = after(ruleWith(() => ({ to: "b", state: { n: 1 } })));
    expect(message).toMatchObject({
      kind: "step",
      task: { role: "b", state: { n: 1 }, history: [{ result: "r" }], rowId: "7" },
    });
  });

  test("is not asked for after an answer that is none: the task ends unscored, with its hop and why", () => {
    const rule = ruleWith(() => done({ score: 1 }));
    const first = startTask(rule, admitted);
    const message = nextMessage(
      rule,
      (first as Extract<Message, { kind: "step" }>).task,
      hop,
      "cut",
    );
    expect(message).toMatchObject({
      kind: "end",
      ending: { status: "ok", stopReason: "cut", score: null, outcome: { role: "a" }, error: null },
      task: { history: [{ result: "r" }] },
    });
  });

  test("after an answer that is none is the rule's own where it has one, but nothing makes it a score", () => {
    const stopped = (unanswered: () => ReturnType<typeof done>) => {
      const rule: Rule = {
        ...ruleWith(() => done()),
        orchestrator: { start: () => to("a"), next: () => done(), unanswered },
      };
      const first = startTask(rule, admitted);
      return nextMessage(rule, (first as Extract<Message, { kind: "step" }>).task, hop, "refused");
    };
    expect(stopped(() => done({ reason: "filtered", score: 0 }))).toMatchObject({
      ending: { stopReason: "filtered", score: 0 },
    });
    expect(stopped(() => done({ reason: "refused", score: 1 }))).toMatchObject({
      ending: { stopReason: "refused", score: null },
    });
  });

  test("to an unknown role fails the task and names the roles there are", () => {
    expect(errorOf(after(ruleWith(() => to("c"))))).toBe(
      'orchestrator_failed: next() after a routes to "c", which is no role of the recipe: a, b',
    );
  });

  test("that is a promise fails the task: a rule answers at once", () => {
    expect(errorOf(after(ruleWith(async () => done())))).toContain(
      "a promise; it must be pure and answer at once",
    );
  });

  test("that is missing fails the task", () => {
    expect(errorOf(after(ruleWith(() => undefined)))).toContain(
      "next() after a returned undefined",
    );
    expect(errorOf(after(ruleWith(() => ({ goto: "b" }))))).toContain(
      "neither to(role, state) nor done()",
    );
  });

  test("that throws fails the task with the stack of the user's code and the history so far", () => {
    const message = after(
      ruleWith(() => {
        throw new TypeError("no such field");
      }),
    );
    if (message.kind !== "end") throw new Error("the task went on");
    expect(message.ending.error).toMatchObject({
      code: "orchestrator_failed",
      message: "no such field",
      role: "a",
      hop: 0,
    });
    expect(message.ending.error?.stack).toContain("advance.test.ts");
    expect(message.task.history).toHaveLength(1);
  });

  test("to go on past max_hops fails the task, but a task may end on its last hop", () => {
    const message = after(ruleWith(() => to("b"), 1));
    expect(message).toMatchObject({
      kind: "end",
      ending: {
        status: "failed",
        stopReason: "max_hops",
        score: null,
        error: { code: "max_hops" },
      },
    });
    expect(after(ruleWith(() => done({ score: 1 }), 1))).toMatchObject({
      kind: "end",
      ending: { status: "ok", score: 1 },
    });
  });
});
