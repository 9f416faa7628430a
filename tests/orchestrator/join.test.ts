import { expect, test } from "bun:test";
import type { Rule } from "../../src/orchestrator/advance.ts";
import { type Done, done, fork, type Orchestrator, to } from "../../src/orchestrator/contract.ts";
import { branchesOf, type Ended } from "../../src/orchestrator/join.ts";
import { EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import { failTask } from "../../src/task/failure.ts";
import { TASK_BYTES_MAX } from "../../src/task/size.ts";
import type { Ending, Message, Task } from "../../src/task/task.ts";
import { joinMessage, startTask } from "../parts/at-once.ts";
import { ADMITTED, hopOf } from "./walk.ts";

type Join = Orchestrator["join"] & {};

function ruleWith(join: Join): Rule {
  const branches = [to<string>("a", "A"), to<string>("b", "B")];
  return {
    orchestrator: { start: () => fork(branches, "mine"), next: () => done(), join },
    roles: new Set(["a", "b"]),
    maxHops: 9,
  };
}

function forkedBy(rule: Rule): Task {
  const message = startTask(rule, ADMITTED);
  if (message.kind !== "fork") throw new Error("the task did not fork");
  return message.task;
}

function join(rule: Rule, ended: readonly (Ended | null)[]): Message | null {
  return joinMessage(rule, forkedBy(rule), ended);
}

function ok(role: string, result: number): Ended {
  return {
    hops: [hopOf(role, result, 0)],
    ending: {
      status: "ok",
      stopReason: "agreed",
      score: result,
      outcome: { result },
      error: null,
    },
  };
}

function failed(code: string): Ended {
  const task = { ...ADMITTED, role: "a", state: null, history: [] };
  const { ending } = failTask(task, { code, message: "m", role: "a", hop: 0 });
  return { hops: [hopOf("a", 0)], ending };
}

test("a forked task tells the first role and the state of each branch", () => {
  const task = forkedBy(ruleWith(() => null));
  expect(task.role).toBe("");
  expect(branchesOf(task)).toEqual([
    { to: "a", state: "A" },
    { to: "b", state: "B" },
  ]);
});

test("join() is given the fork's state, the ends so far, and the hops of ended branches", () => {
  const seen: unknown[] = [];
  const rule = ruleWith((state, ended, { role, history }) => {
    seen.push(state, ended, role, history);
    return done();
  });
  join(rule, [null, ok("b", 2)]);
  expect(seen).toEqual([
    "mine",
    [null, { done: "agreed", score: 2, outcome: { result: 2 } } satisfies Done],
    null,
    [{ ...hopOf("b", 2, 0), branch: 1 }],
  ]);
  seen.length = 0;
  join(rule, [ok("a", 1), ok("b", 2)]);
  expect(seen[3]).toEqual([
    { ...hopOf("a", 1, 0), branch: 0 },
    { ...hopOf("b", 2, 1), branch: 1 },
  ]);
});

test("a task waits while join() answers null and a branch is under way", () => {
  expect(
    join(
      ruleWith(() => null),
      [ok("a", 1), null],
    ),
  ).toBeNull();
});

test("a task goes on as join() decides, with the hops of the ended branches", () => {
  const message = join(
    ruleWith(() => to<string>("b", "on")),
    [ok("a", 1), null],
  );
  expect(message).toMatchObject({
    kind: "step",
    task: { role: "b", state: "on", history: [{ role: "a", branch: 0, hop: 0 }] },
  });
});

test("a task whose join() still answers null after all branches ends as completed", () => {
  expect(
    join(
      ruleWith(() => null),
      [ok("a", 1), ok("b", 2)],
    ),
  ).toMatchObject({
    kind: "end",
    ending: { status: "ok", stopReason: "completed", score: null, outcome: null },
  });
});

test("a failed branch fails the task at once, without asking join()", () => {
  const rule = ruleWith(() => {
    throw new Error("asked");
  });
  const message = join(rule, [null, failed("model_lost")]);
  expect(message).toMatchObject({
    kind: "end",
    task: { history: [{ branch: 1, hop: 0 }] },
    ending: { status: "failed", error: { code: "model_lost", role: "a", hop: 0 } },
  });
});

test("a join() that throws fails the task", () => {
  const rule = ruleWith(() => {
    throw new Error("oh");
  });
  expect(join(rule, [ok("a", 1), null])).toMatchObject({
    ending: { status: "failed", error: { code: "orchestrator_failed", message: "oh", role: null } },
  });
});

test("a branch that a replay has no records of counts as one that never ends", () => {
  const seen: unknown[] = [];
  const rule = ruleWith((_, ended) => {
    seen.push(ended.map((branch) => branch === null));
    return ended[1] == null ? null : done();
  });
  expect(join(rule, [failed("not_recorded"), null])).toBeNull();
  expect(join(rule, [failed("not_recorded"), ok("b", 1)])).toMatchObject({
    ending: { status: "ok" },
    task: { history: [{ branch: 1 }] },
  });
  expect(seen).toEqual([
    [true, true],
    [true, false],
  ]);
});

test("a task that waits for a branch without records fails with that branch's error", () => {
  expect(
    join(
      ruleWith(() => null),
      [failed("not_recorded"), ok("b", 1)],
    ),
  ).toMatchObject({
    kind: "end",
    ending: { status: "failed", error: { code: "not_recorded" } },
  });
});

test("a branch that has used up its share ends its task only where the others do not suffice", () => {
  const enough = ruleWith((_, ended) => (ended[1] == null ? null : done()));
  const limited = failed("task_limit");
  expect(join(enough, [limited, null])).toBeNull();
  expect(join(enough, [limited, ok("b", 1)])).toMatchObject({
    ending: { status: "ok" },
    task: { history: [{ branch: 0 }, { branch: 1 }] },
  });
  const never = ruleWith(() => null);
  expect(join(never, [limited, null])).toBeNull();
  expect(join(never, [limited, ok("b", 1)])).toMatchObject({
    ending: { status: "failed", stopReason: "task_limit", error: { code: "task_limit" } },
    task: { history: [{ branch: 0 }, { branch: 1 }] },
  });
});

test("branches that make a task larger than 64 MiB fail it, without their hops", () => {
  const rule = ruleWith(() => done());
  const forked = forkedBy(rule);
  const { totals, trail, pins } = encodeTask(forked);
  const rowBytes = new Uint8Array(TASK_BYTES_MAX - 10);
  const task = new EncodedTask(forked, rowBytes, new Uint8Array(), totals, trail, pins);
  const message = joinMessage(rule, task, [ok("a", 1), null]);
  expect((message as { ending: Ending }).ending.error).toEqual({
    code: "task_too_large",
    message: "the branches make the task larger than 64 MiB",
    role: null,
    hop: null,
  });
  expect(message?.task).toBe(task);
});
