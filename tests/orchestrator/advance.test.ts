// A decision of a rule becomes a message. Everything that a rule can get wrong ends the task with
// an error that says so, and keeps the history.

import { expect, test } from "bun:test";
import type { Rule } from "../../src/orchestrator/advance.ts";
import { done, fork, type Orchestrator, to } from "../../src/orchestrator/contract.ts";
import { cutDepth, isTooDeep } from "../../src/task/depth.ts";
import { EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import { STATE_BYTES_MAX, TASK_BYTES_MAX } from "../../src/task/size.ts";
import type { Message, Task } from "../../src/task/task.ts";
import { nextMessage, startTask } from "../parts/at-once.ts";
import { nested } from "../parts/nested.ts";
import { ADMITTED, hopOf } from "./walk.ts";

const HOP = hopOf("a", "r");

function ruleWith(next: () => unknown, maxHops = 9, more: Partial<Orchestrator> = {}): Rule {
  return {
    orchestrator: { start: () => to("a"), next: next as Orchestrator["next"], ...more },
    roles: new Set(["a", "b"]),
    maxHops,
  };
}

function started(rule: Rule): Task {
  const first = startTask(rule, ADMITTED);
  if (first.kind !== "step") throw new Error("the task did not start");
  return first.task;
}

function after(rule: Rule): Message {
  return nextMessage(rule, started(rule), HOP);
}

function errorOf(message: Message): string {
  return message.kind === "end"
    ? `${message.ending.error?.code}: ${message.ending.error?.message}`
    : "no end";
}

test("a task starts as it was admitted, at the role that start() names", () => {
  const seen: unknown[] = [];
  const rule = ruleWith(done, 9, {
    start: (row, { id, trial, seed, role, history }) => {
      seen.push(row, id, trial, seed, role, history);
      return to<number>("b", 4);
    },
  });
  expect(startTask(rule, ADMITTED)).toEqual({
    kind: "step",
    task: { ...ADMITTED, role: "b", state: 4, history: [] },
  });
  expect(seen).toEqual([{ n: 3 }, "7", 2, 11, null, []]);
});

test("a task may end at its start", () => {
  expect(startTask(ruleWith(done, 9, { start: () => done({ score: 1 }) }), ADMITTED)).toMatchObject(
    {
      kind: "end",
      ending: { status: "ok", stopReason: "completed", score: 1 },
    },
  );
});

test("next() is given the state, the result, and a history that ends with the hop", () => {
  const seen: unknown[] = [];
  const rule = ruleWith(done, 9, {
    start: () => to<number>("a", 4),
    next: (state, result, { role, history }) => {
      seen.push(state, result, role, history);
      return done();
    },
  });
  after(rule);
  expect(seen).toEqual([4, "r", "a", [HOP]]);
});

test("a decision for a role carries the state and the history on", () => {
  const message = after(ruleWith(() => ({ to: "b", state: { n: 1 } })));
  expect(message).toEqual({
    kind: "step",
    task: { ...ADMITTED, role: "b", state: { n: 1 }, history: [HOP] },
  });
});

test("a decision to end carries reason, score and outcome into the ending", () => {
  const message = after(ruleWith(() => done({ reason: "agreed", score: 0.5, outcome: { x: 1 } })));
  expect(message).toMatchObject({
    kind: "end",
    task: { history: [HOP] },
    ending: {
      status: "ok",
      stopReason: "agreed",
      score: 0.5,
      outcome: { x: 1 },
      error: null,
    },
  });
});

test("a decision to fork gives a fork with the branches and the state of the rule", () => {
  const branches = [{ ...to<number>("a", 1), extra: true }, to<number>("b", 2)];
  const rule = ruleWith(() => fork(branches, 7), 3, { join: () => null });
  expect(after(rule)).toMatchObject({
    kind: "fork",
    task: {
      role: "",
      state: {
        branches: [
          { to: "a", state: 1 },
          { to: "b", state: 2 },
        ],
        state: 7,
      },
    },
  });
});

test.each<[given: object, score: number | null]>([
  [{ score: true }, 1],
  [{ score: false }, 0],
  [{ score: 0 }, 0],
  [{}, null],
])("an end with %j, made by hand, has the score %p and no outcome", (given, score) => {
  const message = after(ruleWith(() => ({ done: "completed", ...given })));
  expect(message).toMatchObject({ ending: { status: "ok", score, outcome: null } });
});

test("an answer that is not whole ends the task unscored, with its role and its reason", () => {
  const rule = ruleWith(() => done({ score: 1 }));
  expect(nextMessage(rule, started(rule), HOP, "cut")).toMatchObject({
    kind: "end",
    ending: { status: "ok", stopReason: "cut", score: null, outcome: { role: "a" }, error: null },
    task: { history: [HOP] },
  });
});

test("a rule may decide about an answer that is not whole, but cannot give it a score", () => {
  const stopped = (unanswered: Orchestrator["unanswered"] & {}) => {
    const rule = ruleWith(() => done(), 9, { start: () => to<number>("a", 4), unanswered });
    return nextMessage(rule, started(rule), HOP, "refused");
  };
  const seen: unknown[] = [];
  const filtered = stopped((state, reason, { role, history }) => {
    seen.push(state, reason, role, history);
    return done({ reason: "filtered", score: 0 });
  });
  expect(filtered).toMatchObject({ ending: { stopReason: "filtered", score: 0 } });
  expect(seen).toEqual([4, "refused", "a", [HOP]]);
  expect(stopped(() => done({ reason: "refused", score: 1 }))).toMatchObject({
    ending: { stopReason: "refused", score: null },
  });
  expect(stopped(() => to("b"))).toMatchObject({ kind: "step", task: { role: "b" } });
});

test("an unsound decision fails the task with its problem and place", () => {
  expect(after(ruleWith(() => to("c")))).toMatchObject({
    kind: "end",
    task: { history: [HOP] },
    ending: {
      status: "failed",
      stopReason: "error",
      score: null,
      outcome: null,
      error: {
        code: "orchestrator_failed",
        message: 'next() after a routes to "c", which is not a role of the recipe; roles: a, b',
        role: "a",
        hop: 0,
      },
    },
  });
  expect(startTask(ruleWith(done, 9, { start: () => to("c") }), ADMITTED)).toMatchObject({
    ending: { error: { role: null, hop: null } },
  });
});

test("a fork in a branch, or without join(), fails the task", () => {
  const forks = () => fork([to("a")], null);
  expect(errorOf(after(ruleWith(forks)))).toContain("but the orchestrator has no join()");
  const rule = ruleWith(forks, 9, { join: () => null });
  const branch = { ...started(rule), branch: { of: "h", id: 1 } };
  expect(errorOf(nextMessage(rule, branch, HOP))).toContain("a branch cannot fork again");
});

test("a rule that throws fails the task with the stack of the user's code", () => {
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
  expect(message.task.history).toEqual([HOP]);
});

test.each<[maxHops: number, kind: Message["kind"]]>([
  [1, "end"],
  [2, "step"],
])("after one hop, max_hops = %p gives a task that goes on as %p", (maxHops, kind) => {
  expect(after(ruleWith(() => to("b"), maxHops)).kind).toBe(kind);
});

test.each<[maxHops: number, kind: Message["kind"]]>([
  [2, "end"],
  [3, "fork"],
])(
  "after one hop, max_hops = %p gives a task with two branches that goes on as %p",
  (most, kind) => {
    const two = () => fork([to("a"), to("b")], null);
    const message = after(ruleWith(two, most, { join: () => null }));
    expect(message.kind).toBe(kind);
    if (message.kind === "end")
      expect(message.ending.error).toMatchObject({
        code: "max_hops",
        message: "the task has used 1 of its 2 hops (run.max_hops) and would take 2 at once",
      });
  },
);

test("a task that goes on past max_hops fails, but a task may end on its last hop", () => {
  expect(after(ruleWith(() => to("b"), 1))).toMatchObject({
    kind: "end",
    task: { history: [HOP] },
    ending: {
      status: "failed",
      stopReason: "max_hops",
      score: null,
      error: {
        code: "max_hops",
        message: "the task has used its 1 hops (run.max_hops) and would go to b",
        role: "a",
        hop: 0,
      },
    },
  });
  expect(after(ruleWith(() => done({ score: 1 }), 1))).toMatchObject({
    kind: "end",
    ending: { status: "ok", score: 1 },
  });
});

const UNWRITABLE = {
  toJSON: () => {
    throw new Error("no JSON of this");
  },
};

test("a result that JSON cannot carry fails the task, which keeps the history before it", () => {
  const rule = ruleWith(() => done());
  const task = encodeTask(started(rule));
  const message = nextMessage(rule, task, hopOf("a", UNWRITABLE as never));
  expect(message).toMatchObject({ ending: { status: "failed", error: { role: "a", hop: 0 } } });
  expect(errorOf(message)).toStartWith("agent_failed: the result is not JSON: ");
  expect(message.task.history).toEqual([]);
});

test.each([
  [0, "step"],
  [1, "end"],
])("a task of 64 MiB and %p bytes more gives %p", (extra, kind) => {
  const rule = ruleWith(() => to("b"));
  const { totals, trail, pins } = encodeTask(started(rule));
  const hopBytes = JSON.stringify(HOP).length;
  const rowBytes = new Uint8Array(TASK_BYTES_MAX - hopBytes + extra);
  const task = new EncodedTask(started(rule), rowBytes, new Uint8Array(), totals, trail, pins);
  const message = nextMessage(rule, task, HOP);
  expect(message.kind).toBe(kind as Message["kind"]);
  if (message.kind !== "end") return;
  expect(message.ending.error).toEqual({
    code: "task_too_large",
    message: "this result makes the task larger than 64 MiB",
    role: "a",
    hop: 0,
  });
  expect(message.task).toBe(task);
});

/** A hop that makes the started task exactly `extra` bytes larger than a task may be. */
function hopOfSize(task: Task, extra: number): ReturnType<typeof hopOf> {
  const frame = JSON.stringify(hopOf("a", "")).length + JSON.stringify(task.row).length;
  return hopOf("a", "x".repeat(TASK_BYTES_MAX - frame + extra));
}

test.each([
  ["in one process", (task: Task) => task],
  ["from the wire", (task: Task) => encodeTask(task)],
])("a task %s holds 64 MiB and not a byte more", (_place, held) => {
  const rule = ruleWith(() => to("b"));
  const task = held(started(rule));
  const largest = nextMessage(rule, task, hopOfSize(task, 0));
  expect(largest.kind).toBe("step");
  expect(errorOf(nextMessage(rule, task, hopOfSize(task, 1)))).toBe(
    "task_too_large: this result makes the task larger than 64 MiB",
  );
  // The next hop does not fit, however small it is.
  const more = nextMessage(rule, largest.task, HOP);
  expect(errorOf(more)).toBe("task_too_large: this result makes the task larger than 64 MiB");
  expect(more.task).toBe(largest.task);
});

test("a task in one process is as large as its JSON: what is escaped counts with its escapes", () => {
  const rule = ruleWith(() => to("b"));
  const task = started(rule);
  const frame = JSON.stringify(hopOf("a", "")).length + JSON.stringify(task.row).length;
  const text = (extra: number) => "\u0001".repeat(Math.floor((TASK_BYTES_MAX - frame) / 6) + extra);
  expect(nextMessage(rule, task, hopOf("a", text(0))).kind).toBe("step");
  expect(nextMessage(rule, task, hopOf("a", text(1))).kind).toBe("end");
});

test("answers that were not used count for the size of a task in one process", () => {
  const rule = ruleWith(() => to("b"));
  const usage = { requests: 1, prompt_tokens: 1, completion_tokens: 1 };
  const missed = { problem: "no", usage, result: "x".repeat(TASK_BYTES_MAX) };
  const message = nextMessage(rule, started(rule), { ...HOP, missed: [missed] });
  expect(errorOf(message)).toStartWith("task_too_large: ");
  expect(message.task.history).toEqual([]);
});

test("many small hops together reach the limit of a task in one process", () => {
  const rule = ruleWith(() => to("b"), 20_000);
  let message = startTask(rule, ADMITTED);
  const hop = hopOf("a", "x".repeat(8000));
  const bytes = JSON.stringify(hop).length;
  let hops = 0;
  for (; message.kind === "step"; hops++) message = nextMessage(rule, message.task, hop);
  expect(errorOf(message)).toStartWith("task_too_large: ");
  expect(message.task.history).toHaveLength(hops - 1);
  expect(hops - 1).toBe(Math.floor((TASK_BYTES_MAX - 10) / (bytes + 1)));
});

test("a row of more than 64 MiB ends its task, and its record leaves the row out", () => {
  const rule = ruleWith(() => to("b"));
  const start = (bytes: number) =>
    startTask(rule, { ...ADMITTED, row: { q: "x".repeat(bytes - '{"q":""}'.length) } });
  expect(start(TASK_BYTES_MAX).kind).toBe("step");
  const message = start(TASK_BYTES_MAX + 1);
  if (message.kind !== "end") throw new Error("the task went on");
  expect(message.task.row).toEqual({});
  expect(message.ending).toEqual({
    ...{ status: "failed", stopReason: "error", score: null, outcome: null },
    error: {
      code: "task_too_large",
      message: "the row is larger than 64 MiB; its record leaves it out",
      role: null,
      hop: null,
    },
  });
});

test("a row that is nested too deeply and is too large is left out, too", () => {
  const row = { d: nested(300), q: "x".repeat(TASK_BYTES_MAX) } as JsonObject;
  const message = startTask(
    ruleWith(() => to("b")),
    { ...ADMITTED, row },
  );
  expect(errorOf(message)).toStartWith("task_too_large: ");
  expect(message.task.row).toEqual({});
});

test("a state or an outcome has 8 MiB at most", () => {
  const text = (chars: number) => "x".repeat(chars);
  const room = STATE_BYTES_MAX - JSON.stringify(to("b", "")).length;
  expect(after(ruleWith(() => to("b", text(room)))).kind).toBe("step");
  const words = "task_too_large: the state or outcome of the rule is larger than 8 MiB";
  expect(errorOf(after(ruleWith(() => to("b", text(room + 1)))))).toBe(words);
  const outcome = { text: text(STATE_BYTES_MAX) };
  expect(errorOf(after(ruleWith(() => done({ outcome }))))).toBe(words);
  expect(errorOf(after(ruleWith(() => to("b", "\u0001".repeat(STATE_BYTES_MAX / 6)))))).toBe(words);
});

test("a result that shares its parts with itself is weighed as what JSON makes of it", () => {
  let shared: unknown = "text";
  for (let level = 0; level < 60; level++) shared = [shared, shared];
  const rule = ruleWith(() => to("b"));
  for (const task of [started(rule), encodeTask(started(rule))])
    expect(errorOf(nextMessage(rule, task, hopOf("a", shared as Json)))).toBe(
      "task_too_large: this result makes the task larger than 64 MiB",
    );
});

test("a row of 256 levels starts, and a deeper one ends its task with the upper levels of it", () => {
  const rule = ruleWith(() => to("b"));
  const start = (levels: number) =>
    startTask(rule, { ...ADMITTED, row: { d: nested(levels - 1) } as JsonObject });
  expect(start(256).kind).toBe("step");
  const message = start(257);
  if (message.kind !== "end") throw new Error("the task went on");
  expect(message.ending).toEqual({
    ...{ status: "failed", stopReason: "error", score: null, outcome: null },
    error: {
      code: "task_too_deep",
      message: "the row is nested more than 256 levels deep; its record has those levels of it",
      role: null,
      hop: null,
    },
  });
  expect(message.task.row).toEqual(cutDepth({ d: nested(256) } as JsonObject));
  expect(isTooDeep(message.task.row)).toBe(false);
});

test("a result of 256 levels goes on, and a deeper one ends the task with what it cost", () => {
  const rule = ruleWith(() => to("b"));
  const task = started(rule);
  const usage = { requests: 1, prompt_tokens: 2, completion_tokens: 3 };
  expect(nextMessage(rule, task, hopOf("a", nested(256))).kind).toBe("step");
  for (const [more, hops] of [
    [{}, []],
    [{ usage }, [{ ...HOP, usage, error: "task_too_deep", result: null }]],
  ] as const) {
    const message = nextMessage(rule, task, { ...hopOf("a", nested(257)), ...more });
    if (message.kind !== "end") throw new Error("the task went on");
    expect(message.ending.error).toEqual({
      code: "task_too_deep",
      message: "this result is nested more than 256 levels deep",
      role: "a",
      hop: 0,
    });
    expect(message.task.history).toEqual([...hops]);
  }
});

test("a state or an outcome that is nested too deeply ends the task", () => {
  const text =
    "task_too_deep: the state or outcome of the rule is nested more than 256 levels deep";
  expect(errorOf(after(ruleWith(() => to("b", { d: nested(300) }))))).toBe(text);
  const outcome = { d: nested(300) } as JsonObject;
  expect(errorOf(after(ruleWith(() => done({ outcome }))))).toBe(text);
  expect(after(ruleWith(() => to("b", { d: nested(200) }))).kind).toBe("step");
});
