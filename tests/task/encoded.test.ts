// A task in memory and the same task encoded behave alike. A host may hold either.

import { expect, test } from "bun:test";
import {
  appendHop,
  branchTask,
  EncodedTask,
  encodeTask,
  hopCount,
  moveTask,
  restartTask,
  sizeOf,
  totalsOf,
  withSeed,
} from "../../src/task/encoded.ts";
import type { Hop, Task } from "../../src/task/task.ts";
import { taskOf } from "../parts/task.ts";

function hop(index: number, more: Partial<Hop> = {}): Hop {
  return {
    hop: index,
    role: "a",
    host: "h",
    at: "2026-01-01T00:00:00.000Z",
    queue_ms: 1,
    run_ms: 10,
    result: `ä ${index}`,
    ...more,
  };
}

const TASK = taskOf({
  rowId: "7",
  trial: 2,
  row: { q: "warum? ü" },
  seed: 11,
  attempt: 3,
  state: { n: 1 },
  history: [hop(0), hop(1)],
  admittedAt: 5,
  trace: "00-t-s-01",
});

/** The members that a task has in every form. */
function plain(task: Task): Task {
  const { rowId, trial, row, seed, attempt, role, state, history, admittedAt, trace } = task;
  return {
    ...{ rowId, trial, row, seed, attempt, role, state, history, admittedAt, trace },
    ...(task.branch === undefined ? {} : { branch: task.branch }),
  };
}

/** The same task as if it had just arrived: nothing of it is parsed. */
function arrived(task: Task): EncodedTask {
  const { rowBytes, historyBytes, totals, trail, pins } = encodeTask(task);
  const head = plain(task);
  return new EncodedTask(head, rowBytes, historyBytes, totals, trail, pins);
}

const FORMS: readonly (readonly [form: string, of: (task: Task) => Task])[] = [
  ["a task in memory", (task) => task],
  ["an encoded task", encodeTask],
  ["a task that has arrived", arrived],
];

for (const [form, of] of FORMS) {
  test(`${form} has the members that it was made with`, () => {
    expect(plain(of(TASK))).toEqual(TASK);
    const branch = { ...TASK, branch: { of: "host", id: 4 } };
    expect(plain(of(branch))).toEqual(branch);
  });

  test(`${form} gets a hop at the end of its history and changes in nothing else`, () => {
    const before = of(TASK);
    const after = appendHop(before, hop(2));
    expect(plain(after)).toEqual({ ...TASK, history: [...TASK.history, hop(2)] });
    expect(plain(before)).toEqual(TASK);
    expect(hopCount(after)).toBe(3);
  });

  test(`${form} gets its first hop`, () => {
    const after = appendHop(of({ ...TASK, history: [] }), hop(0));
    expect(after.history).toEqual([hop(0)]);
    expect(hopCount(after)).toBe(1);
  });

  test(`${form} moves with a new role and state`, () => {
    expect(plain(moveTask(of(TASK), "b", [1]))).toEqual({ ...TASK, role: "b", state: [1] });
  });

  test(`${form} branches with what it has and with its own changes`, () => {
    const changes = { branch: { of: "h", id: 1 }, role: "b", state: null, seed: 99 };
    expect(plain(branchTask(of(TASK), changes))).toEqual({ ...TASK, ...changes });
  });

  test(`${form} starts again as the next attempt`, () => {
    expect(plain(restartTask(of(TASK)))).toEqual({ ...TASK, attempt: 4 });
  });

  test(`${form} knows the length of its history`, () => {
    expect(hopCount(of(TASK))).toBe(2);
    expect(hopCount(of({ ...TASK, history: [] }))).toBe(0);
  });

  test(`${form} sums up its history`, () => {
    const usage = { requests: 1, prompt_tokens: 10, completion_tokens: 100 };
    const history = [
      hop(0, { queue_ms: 0.5, model: "m", usage, cost: 0.25 }),
      hop(1, { model: "m", usage: { ...usage, requests: 2 } }),
      hop(2),
      hop(3, { run_ms: 0.5, model: "l", cost: 0.5, usage }),
    ];
    let task = of({ ...TASK, history: history.slice(0, 1) });
    for (const next of history.slice(1)) task = appendHop(task, next);
    expect(totalsOf(task)).toEqual({
      hops: 4,
      queueMs: 3.5,
      runMs: 30.5,
      usage: { requests: 4, prompt_tokens: 30, completion_tokens: 300 },
      cost: 0.75,
      models: ["m", "l"],
    });
  });

  test(`${form} without a price has no cost, and without hops no sums`, () => {
    expect(totalsOf(of(TASK)).cost).toBeNull();
    expect(totalsOf(of({ ...TASK, history: [] }))).toEqual({
      hops: 0,
      queueMs: 0,
      runMs: 0,
      usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
      cost: null,
      models: [],
    });
    expect(totalsOf(of({ ...TASK, history: [hop(0, { cost: 0 })] })).cost).toBe(0);
  });
}

test("an encoded task's size is its bytes of row and history; another task has size 0", () => {
  expect(sizeOf(TASK)).toBe(0);
  const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
  const history = bytes(TASK.history) - "[]".length;
  expect(sizeOf(encodeTask(TASK))).toBe(bytes(TASK.row) + history);
  expect(sizeOf(appendHop(encodeTask(TASK), hop(2)))).toBe(
    bytes(TASK.row) + history + ",".length + bytes(hop(2)),
  );
});

test("an encoded task stays as it is when it is encoded again", () => {
  const encoded = encodeTask(TASK);
  expect(encodeTask(encoded)).toBe(encoded);
  expect(encoded.trail).toEqual([]);
  expect(encoded.pins).toEqual({});
});

test("an encoded task parses its row and history once, and again after forgetParsed()", () => {
  const task = arrived(TASK);
  const { row, history } = task;
  expect(task.row).toBe(row);
  expect(task.history).toBe(history);
  task.forgetParsed();
  expect(task.row).not.toBe(row);
  expect(task.row).toEqual(row);
  expect(task.history).not.toBe(history);
  expect(task.history).toEqual(history);
});

test("an encoded task shares its parsed row with the task that it moves or grows into", () => {
  const task = arrived(TASK);
  const { row, history } = task;
  const moved = task.moved("b", null);
  expect(moved.row).toBe(row);
  expect(moved.history).toBe(history);
  const grown = task.appended(hop(2));
  expect(grown.row).toBe(row);
  expect(grown.history[0]).toBe(history[0] as Hop);
});

test("a hop does not parse a history that was not parsed before", () => {
  const task = new EncodedTask(
    plain(TASK),
    new TextEncoder().encode("{}"),
    new TextEncoder().encode("no JSON"),
    totalsOf(TASK),
    [],
    {},
  );
  const after = task.appended(hop(2)).moved("b", null);
  expect(new TextDecoder().decode(after.historyBytes)).toStartWith('no JSON,{"hop":2,');
  expect(after.totals.hops).toBe(3);
});

test("a task's mark has its host and the length of its history, and stays the same", () => {
  const task = encodeTask(TASK);
  const mark = task.markOf("h1");
  expect(mark).toEqual({ host: "h1", id: mark.id, bytes: task.historyBytes.length });
  expect(Number.isSafeInteger(mark.id)).toBe(true);
  expect(task.markOf("h1")).toBe(mark);
  expect(encodeTask(TASK).markOf("h1").id).not.toBe(mark.id);
  expect(task.moved("b", null).markOf("h1").id).not.toBe(mark.id);
});

test("a pinned task names the host that has its sandbox, beside the pins that it has", () => {
  const task = encodeTask(TASK);
  const pinned = task.pinned("shell", "h1");
  expect(pinned.pins).toEqual({ shell: "h1" });
  expect(pinned.pinned("shell", "h1")).toBe(pinned);
  expect(pinned.pinned("browser", "h2").pins).toEqual({ shell: "h1", browser: "h2" });
  expect(pinned.pinned("shell", "h2").pins).toEqual({ shell: "h2" });
  expect(plain(pinned)).toEqual(TASK);
  expect(pinned.totals).toEqual(task.totals);
});

test("a task that moves or grows keeps its trail and pins; a branch keeps the pins alone", () => {
  const { rowBytes, historyBytes, totals } = encodeTask(TASK);
  const trail = [{ host: "h1", id: 1, bytes: 0 }];
  const task = new EncodedTask(plain(TASK), rowBytes, historyBytes, totals, trail, { s: "h1" });
  for (const next of [task.moved("b", null), task.appended(hop(2)), task.pinned("t", "h2")])
    expect(next.trail).toBe(trail);
  expect(task.appended(hop(2)).pins).toEqual({ s: "h1" });
  const branch = task.branched({ seed: 3 });
  expect(branch.trail).toEqual([]);
  expect(branch.pins).toEqual({ s: "h1" });
  expect(branch.totals).toBe(totals);
  expect(restartTask(task)).toMatchObject({ attempt: 4, trail: [], pins: { s: "h1" } });
});

test("a task with another seed is the same task otherwise, encoded or not", () => {
  const plain = taskOf({ seed: 7, rowId: "r" });
  expect(withSeed(plain, 9)).toEqual({ ...plain, seed: 9 });
  const encoded = encodeTask(plain);
  const other = withSeed(encoded, 9);
  expect(other).toBeInstanceOf(EncodedTask);
  expect([other.seed, other.rowId, other.role, other.row]).toEqual([9, "r", plain.role, plain.row]);
  expect(encoded.seed).toBe(7);
});
