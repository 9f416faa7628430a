// The tasks in flight: what becomes of a row that is read, an orphan and an end.

import { expect, test } from "bun:test";
import { InFlight } from "../../src/driver/in-flight.ts";
import { done, type RemoteOrchestrator, type Route, to } from "../../src/orchestrator/contract.ts";
import { keyOf } from "../../src/peer/parcel.ts";
import { admitted, endOf, ONE_STEP } from "./task-parts.ts";

const create = (delivery: "retry" | "at-most-once" = "retry", maxAttempts = 3) =>
  new InFlight({ rule: ONE_STEP, delivery, maxAttempts });
const key = (rowId: string, trial = 0) => keyOf({ rowId, trial });

test("a new row is admitted with its first step, and is in flight until it is removed", () => {
  const inFlight = create();
  expect(inFlight.readRow(admitted("x"))).toBe("new");
  expect(inFlight.has(key("x"))).toBe(false);
  expect(inFlight.admit(admitted("x"))).toMatchObject({
    kind: "step",
    task: { rowId: "x", role: "a", attempt: 1, seed: 7, admittedAt: 5 },
  });
  expect([inFlight.size, [...inFlight.keys()]]).toEqual([1, [key("x")]]);
  expect(inFlight.remove({ rowId: "x", trial: 0 })).toMatchObject({ admitted: { admittedAt: 5 } });
  expect([inFlight.size, inFlight.remove({ rowId: "x", trial: 0 })]).toEqual([0, null]);
  // Its row is read once; another trial of it is another task.
  expect(inFlight.readRow(admitted("x", { trial: 1 }))).toBe("new");
});

test("an adopted task is known when its row is read, with the attempt that hosts have", () => {
  const inFlight = create();
  inFlight.adopt(key("x"), 2);
  expect(inFlight.readRow(admitted("x"))).toBe("known");
  expect(inFlight.orphan(key("x"))).toMatchObject({ kind: "step", task: { attempt: 3 } });
});

test("a row whose adopted task ended before it was read is known once", () => {
  const inFlight = create();
  inFlight.adopt(key("x"), 1);
  expect(inFlight.remove({ rowId: "x", trial: 0 })).toMatchObject({ admitted: null });
  expect(inFlight.readRow(admitted("x"))).toBe("known");
  expect(inFlight.readRow(admitted("x"))).toBe("new");
});

test("a task that ended with its row known leaves nothing behind", () => {
  const inFlight = create();
  inFlight.admit(admitted("x"));
  inFlight.remove({ rowId: "x", trial: 0 });
  expect(inFlight.readRow(admitted("x"))).toBe("new");
});

test("an orphan starts again from its row with the next attempt, each time", () => {
  const inFlight = create();
  inFlight.admit(admitted("x"));
  for (const attempt of [2, 3, 4])
    expect(inFlight.orphan(key("x"))).toMatchObject({
      kind: "step",
      task: { rowId: "x", attempt, role: "a", history: [], row: { q: "x" }, admittedAt: 5 },
    });
  expect(inFlight.size).toBe(1);
});

test("an orphan that was adopted starts again when its row is read, and only then", () => {
  const inFlight = create();
  inFlight.adopt(key("x"), 2);
  expect(inFlight.orphan(key("x"))).toBeNull();
  expect(inFlight.readRow(admitted("x"))).toMatchObject({ kind: "step", task: { attempt: 3 } });
  expect(inFlight.readRow(admitted("x"))).toBe("known");
});

test("a task that ended is not an orphan", () => {
  expect(create().orphan(key("x"))).toBeNull();
});

test("at most once, an orphan ends as lost, with the attempt that was lost", () => {
  const inFlight = create("at-most-once");
  inFlight.admit(admitted("x"));
  expect(inFlight.orphan(key("x"))).toMatchObject({
    kind: "end",
    task: { rowId: "x", attempt: 1, history: [] },
    ending: {
      status: "lost",
      stopReason: "lost",
      score: null,
      error: { code: "host_lost", role: null, hop: null },
    },
  });
});

test("at most once, an adopted orphan ends as lost when its row is read, with the attempt that hosts had", () => {
  const inFlight = create("at-most-once");
  inFlight.adopt(key("x"), 2);
  inFlight.orphan(key("x"));
  expect(inFlight.readRow(admitted("x"))).toMatchObject({
    kind: "end",
    task: { rowId: "x", attempt: 2, row: { q: "x" } },
    ending: { status: "lost" },
  });
});

for (const code of ["sandbox_lost", "sandbox_unavailable", "sandbox_fenced", "wire_invalid"])
  test(`a row starts again when its task ended with ${code}, up to max_attempts`, () => {
    const inFlight = create("retry", 3);
    inFlight.admit(admitted("x"));
    expect(inFlight.judge(endOf("x", { code }))).toMatchObject({ task: { attempt: 2 } });
    expect(inFlight.judge(endOf("x", { code, attempt: 2 }))).toMatchObject({
      task: { attempt: 3 },
    });
    expect(inFlight.judge(endOf("x", { code, attempt: 3 }))).toBe("record");
  });

test("an end of an earlier start leads nowhere when it tells of a lost sandbox", () => {
  const inFlight = create();
  inFlight.admit(admitted("x"));
  inFlight.orphan(key("x"));
  expect(inFlight.judge(endOf("x", { code: "sandbox_lost", attempt: 1 }))).toBe("stale");
  expect(inFlight.orphan(key("x"))).toMatchObject({ task: { attempt: 3 } });
});

test("an adopted task that lost its sandbox starts again when its row is read", () => {
  const inFlight = create();
  inFlight.adopt(key("x"), 1);
  expect(inFlight.judge(endOf("x", { code: "sandbox_lost" }))).toBe("stale");
  expect(inFlight.readRow(admitted("x"))).toMatchObject({ kind: "step", task: { attempt: 2 } });
});

test("every other end is recorded: whole ones, failed ones, and those that came twice", () => {
  const inFlight = create();
  inFlight.admit(admitted("x"));
  expect(inFlight.judge(endOf("x"))).toBe("record");
  expect(inFlight.judge(endOf("x", { code: "agent_failed" }))).toBe("record");
  expect(inFlight.judge(endOf("gone", { code: "sandbox_lost" }))).toBe("record");
  const atMostOnce = create("at-most-once");
  atMostOnce.admit(admitted("x"));
  expect(atMostOnce.judge(endOf("x", { code: "sandbox_lost" }))).toBe("record");
});

test("a task in flight is known when its row is read again, and does not start anew", () => {
  const inFlight = create();
  inFlight.admit(admitted("x"));
  expect(inFlight.readRow(admitted("x"))).toBe("known");
  inFlight.orphan(key("x"));
  expect(inFlight.readRow(admitted("x"))).toBe("known");
});

/** Row x has a superseded record of its attempt 2. */
const createRetried = (maxAttempts = 3) =>
  new InFlight({
    rule: ONE_STEP,
    delivery: "retry",
    maxAttempts,
    beginningOf: (rowId) => ({ attempt: rowId === "x" ? 3 : 1, redraws: 0 }),
  });

test("what hosts hold of a superseded attempt is not adopted, and a later attempt is, once", () => {
  const inFlight = createRetried();
  expect(inFlight.adopt(key("x"), 2)).toBe(false);
  expect(inFlight.size).toBe(0);
  expect(inFlight.adopt(key("x"), 3)).toBe(true);
  expect(inFlight.adopt(key("x"), 3)).toBe(false);
  expect(inFlight.adopt(key("y"), 1)).toBe(true);
  expect(inFlight.size).toBe(2);
});

test("an end of a superseded attempt is stale, and that of the retry is recorded", () => {
  const inFlight = createRetried();
  inFlight.admit(admitted("x", { attempt: 3 }));
  expect(inFlight.judge(endOf("x", { attempt: 2 }))).toBe("stale");
  expect(inFlight.judge(endOf("x", { attempt: 2, code: "sandbox_lost" }))).toBe("stale");
  expect(inFlight.judge(endOf("x", { attempt: 3 }))).toBe("record");
});

test("a retry may lose its sandbox as often as a first start", () => {
  const inFlight = createRetried(2);
  inFlight.admit(admitted("x", { attempt: 3 }));
  expect(inFlight.judge(endOf("x", { attempt: 3, code: "sandbox_lost" }))).toMatchObject({
    kind: "step",
    task: { attempt: 4 },
  });
  expect(inFlight.judge(endOf("x", { attempt: 4, code: "sandbox_lost" }))).toBe("record");
});

const after = (attempt: number, delivery: "retry" | "at-most-once" = "retry", first = 1) =>
  new InFlight({
    rule: ONE_STEP,
    delivery,
    maxAttempts: 2,
    attemptBefore: (rowId) => (rowId === "x" ? attempt : 0),
    beginningOf: () => ({ attempt: first, redraws: 0 }),
  });

test("a row that an earlier driver sent out starts again as its next attempt", () => {
  for (const attempt of [1, 3]) {
    const inFlight = after(attempt);
    expect(inFlight.readRow(admitted("x"))).toBe("new");
    const next = { kind: "step", task: { rowId: "x", attempt: attempt + 1 } };
    expect(inFlight.admit(admitted("x"))).toMatchObject(next);
    expect(inFlight.admit(admitted("y"))).toMatchObject({ task: { attempt: 1 } });
  }
});

test("a row that an earlier driver sent out is lost with delivery at most once", () => {
  const inFlight = after(2, "at-most-once");
  expect(inFlight.admit(admitted("x"))).toMatchObject({
    kind: "end",
    task: { rowId: "x", attempt: 2 },
    ending: { status: "lost", stopReason: "lost", error: { code: "host_lost" } },
  });
  expect(inFlight.has(key("x"))).toBe(true);
  expect(inFlight.admit(admitted("y"))).toMatchObject({ kind: "step" });
});

test("a note of an attempt whose record a retry has replaced counts no more", () => {
  for (const delivery of ["retry", "at-most-once"] as const) {
    const stale = after(2, delivery, 3).admit(admitted("x", { attempt: 3 }));
    expect(stale).toMatchObject({ kind: "step", task: { attempt: 3 } });
  }
  const inFlight = after(3, "retry", 3);
  expect(inFlight.admit(admitted("x", { attempt: 3 }))).toMatchObject({ task: { attempt: 4 } });
});

test("starts by earlier drivers do not count against max_attempts", () => {
  const inFlight = after(5);
  inFlight.admit(admitted("x"));
  const lostPlace = (attempt: number) => endOf("x", { attempt, code: "sandbox_lost" });
  expect(inFlight.judge(lostPlace(6))).toMatchObject({ kind: "step", task: { attempt: 7 } });
  expect(inFlight.judge(lostPlace(7))).toBe("record");
});

test("a task whose rule decides later is in flight, and is no orphan before it has started", async () => {
  const decisions: ((route: Route) => void)[] = [];
  const orchestrator: RemoteOrchestrator = {
    isRemote: true,
    start: () => new Promise((resolve) => decisions.push(resolve)),
    next: async () => done(),
  };
  const rule = { ...ONE_STEP, orchestrator };
  const inFlight = new InFlight({ rule, delivery: "retry", maxAttempts: 3 });
  const first = inFlight.admit(admitted("x"));
  expect([inFlight.size, inFlight.orphan(key("x"))]).toEqual([1, null]);
  decisions[0]?.(to("a"));
  expect(await first).toMatchObject({ kind: "step", task: { role: "a", attempt: 1 } });
  const second = inFlight.orphan(key("x"));
  expect(inFlight.orphan(key("x"))).toBeNull();
  decisions[1]?.(to("a"));
  expect(await second).toMatchObject({ kind: "step", task: { role: "a", attempt: 2 } });
});

test("tasks that were admitted before a time end as late, with their attempt, while they are in flight", () => {
  const inFlight = new InFlight({
    rule: ONE_STEP,
    delivery: "retry",
    maxAttempts: 3,
    clock: () => 500,
  });
  inFlight.adopt(key("held"), 2);
  for (const [rowId, admittedAt] of [
    ["x", 600],
    ["y", 700],
    ["z", 701],
  ] as const)
    inFlight.admit(admitted(rowId, { admittedAt }));
  inFlight.orphan(key("x"));
  inFlight.remove({ rowId: "y", trial: 0 });
  expect(inFlight.overdue(600, "late")).toEqual([]);
  const ends = inFlight.overdue(701, "late");
  expect(ends).toHaveLength(1);
  expect(ends[0]).toMatchObject({
    kind: "end",
    task: { rowId: "x", attempt: 2, row: { q: "x" }, history: [] },
    ending: { stopReason: "timeout", error: { code: "task_timeout", message: "late" } },
  });
  // The row of an adopted task is read later, and its time counts from its adoption.
  inFlight.readRow(admitted("held", { admittedAt: 900 }));
  expect(inFlight.overdue(500, "late")).toEqual([]);
  expect(inFlight.overdue(501, "late")).toMatchObject([{ task: { rowId: "held", attempt: 2 } }]);
});
