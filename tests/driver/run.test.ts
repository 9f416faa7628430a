// A run between admission and sink, on a fabric that a test holds in its hand.

import { expect, test } from "bun:test";
import type { DatasetRow } from "../../src/dataset/source.ts";
import { EarlyStop } from "../../src/driver/early-stop.ts";
import { type Fabric, onAbort, Run, type RunOptions } from "../../src/driver/run.ts";
import { MatrixError } from "../../src/error.ts";
import { keyOf } from "../../src/peer/parcel.ts";
import { EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import type { Counts, RecordHead } from "../../src/task/record.ts";
import type { EndMessage, Message } from "../../src/task/task.ts";
import { until } from "../parts/until.ts";
import { countsOf } from "./counts-of.ts";
import { endOf, ONE_STEP } from "./task-parts.ts";

class Stage implements Fabric {
  readonly canFinish = true;
  readonly roles = [];
  readonly present = [];
  readonly wireBytes = null;
  readonly ready: Promise<void>;
  readonly sent: Message[] = [];
  readonly released: EndMessage[] = [];
  /** The number of ends in each release. */
  readonly releases: number[] = [];
  readonly records: RecordHead[] = [];
  readonly counts: Counts[] = [];
  readonly drain = new AbortController();
  readonly halt = new AbortController();
  readonly recorded = new Set<string>();
  readonly heldBack: string[] = [];
  readonly spoilt: string[] = [];
  readonly run: Run;
  appending: () => Promise<void> = async () => undefined;
  holding: Promise<void> | null = null;
  hasBegun = false;
  hasStopped = false;
  becomeReady: () => void;

  constructor(rows: number, options: Partial<RunOptions> = {}) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.becomeReady = resolve;
    const drawn: DatasetRow[] = Array.from({ length: rows }, (_, number) => ({
      number,
      id: String(number),
      row: { q: number },
    }));
    this.run = new Run({
      rows: { next: () => drawn.shift() ?? null, close: async () => undefined },
      trials: 1,
      seed: 3,
      concurrency: 10,
      delivery: "retry",
      maxAttempts: 3,
      rule: ONE_STEP,
      isRecorded: (rowId, trial) => this.recorded.has(keyOf({ rowId, trial })),
      hasRoom: () => true,
      keeper: {
        append: async (_lines, records) => {
          await this.appending();
          this.counts.push(countsOf(records));
        },
        wrote: (record) => void this.records.push(record),
        heldBack: ({ rowId }) => void this.heldBack.push(rowId),
        hold: () => this.holding,
      },
      onSpoilt: ({ rowId }, problem, host) => void this.spoilt.push(`${rowId} ${host}: ${problem}`),
      earlyStop: new EarlyStop({ after: 0, hasSucceeded: false }),
      transport: {
        submit: (message) => void this.sent.push(message),
        release: (ends) => {
          this.releases.push(ends.length);
          this.released.push(...ends);
        },
      },
      clock: () => 100,
      tracing: null,
      drain: this.drain.signal,
      halt: this.halt.signal,
      ...options,
    });
  }

  begin(): void {
    this.hasBegun = true;
  }

  settle(): void {}

  shutOut(): void {}

  async stop(): Promise<void> {
    this.hasStopped = true;
  }

  async sentRows(count: number): Promise<(string | undefined)[]> {
    await until(() => this.sent.length >= count, `${count} messages are sent`);
    return this.sent.map(({ task }) => task.rowId);
  }
}

test("a run sends every row, records every end and is complete", async () => {
  const stage = new Stage(3);
  const end = stage.run.play(stage);
  expect(stage.hasBegun).toBe(true);
  expect(stage.sent).toEqual([]);
  stage.becomeReady();
  expect(await stage.sentRows(3)).toEqual(["0", "1", "2"]);
  expect(stage.run.inFlight).toBe(3);
  stage.run.receive([endOf("1"), endOf("0", { code: "agent_failed" })]);
  stage.run.receive([endOf("2")]);
  expect(await end).toEqual({ complete: true, abandoned: 0, error: null });
  expect(stage.records.map(({ id, status }) => [id, status])).toEqual([
    ["1", "ok"],
    ["0", "failed"],
    ["2", "ok"],
  ]);
  expect(stage.counts).toEqual([
    { ok: 1, failed: 1, lost: 0 },
    { ok: 1, failed: 0, lost: 0 },
  ]);
  expect(stage.released.map(({ task }) => task.rowId)).toEqual(["1", "0", "2"]);
  expect(stage.releases).toEqual([2, 1]);
  expect([stage.hasStopped, stage.run.inFlight]).toEqual([true, 0]);
});

test("an end that comes twice is recorded once, and released both times", async () => {
  const stage = new Stage(1);
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(1);
  stage.run.receive([endOf("0"), endOf("0")]);
  expect((await end).complete).toBe(true);
  expect(stage.records).toHaveLength(1);
  expect(stage.releases).toEqual([1, 1]);
});

test("a late end of an earlier attempt that lost its sandbox is released and never recorded", async () => {
  const stage = new Stage(1);
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(1);
  const lost = endOf("0", { code: "sandbox_lost" });
  stage.run.receive([lost]);
  expect(stage.sent[1]).toMatchObject({ kind: "step", task: { rowId: "0", attempt: 2 } });
  stage.run.receive([lost]);
  expect(stage.released).toEqual([lost, lost]);
  expect(stage.sent).toHaveLength(2);
  stage.run.receive([endOf("0", { attempt: 2 })]);
  await end;
  expect(stage.records).toMatchObject([{ id: "0", attempt: 2, status: "ok" }]);
});

test("tokens bound the tasks in flight, and each written record admits the next row", async () => {
  const stage = new Stage(4, { concurrency: 2 });
  const end = stage.run.play(stage);
  stage.becomeReady();
  expect(await stage.sentRows(2)).toEqual(["0", "1"]);
  stage.run.receive([endOf("0")]);
  expect(await stage.sentRows(3)).toEqual(["0", "1", "2"]);
  expect(stage.run.inFlight).toBe(2);
  stage.run.receive([endOf("1"), endOf("2")]);
  await stage.sentRows(4);
  stage.run.receive([endOf("3")]);
  expect((await end).complete).toBe(true);
});

test("a token comes back only when the record is written and the hold is over", async () => {
  const stage = new Stage(2, { concurrency: 1 });
  const written = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  stage.appending = () => written.promise;
  stage.holding = held.promise;
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(1);
  stage.run.receive([endOf("0")]);
  expect([stage.sent.length, stage.released.length]).toEqual([1, 0]);
  written.resolve();
  await until(() => stage.records.length === 1, "the record is written");
  expect([stage.sent.length, stage.released.length]).toEqual([1, 1]);
  stage.holding = null;
  held.resolve();
  await stage.sentRows(2);
  stage.run.receive([endOf("1")]);
  await end;
});

test("draining admits no further row and waits for the tasks in flight", async () => {
  const stage = new Stage(5, { concurrency: 2 });
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(2);
  stage.drain.abort();
  stage.run.receive([endOf("0"), endOf("1")]);
  expect(await end).toEqual({ complete: false, abandoned: 0, error: null });
  expect(stage.sent).toHaveLength(2);
});

test("a run that is drained before a host has come ends without a task", async () => {
  const stage = new Stage(5);
  const end = stage.run.play(stage);
  stage.drain.abort();
  expect(await end).toEqual({ complete: false, abandoned: 0, error: null });
  expect(stage.sent).toEqual([]);
});

test("halting ends the run at once and counts what was in flight as abandoned", async () => {
  const stage = new Stage(3);
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(3);
  stage.run.receive([endOf("0")]);
  await until(() => stage.records.length === 1, "a record is written");
  stage.halt.abort();
  expect(await end).toEqual({ complete: false, abandoned: 2, error: null });
  expect(stage.hasStopped).toBe(true);
});

test("a record that cannot be written stops the run with storage_failed", async () => {
  const stage = new Stage(2);
  stage.appending = () => Promise.reject(new Error("no space left on device"));
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(2);
  stage.run.receive([endOf("0")]);
  const { complete, error } = await end;
  expect(complete).toBe(false);
  expect(error).toMatchObject({ code: "storage_failed", message: "no space left on device" });
});

test("a dataset that breaks off is the run's error once the tasks in flight have ended", async () => {
  const rows = [{ number: 0, id: "0", row: {} }];
  const gone = new MatrixError("dataset_gone", "the file has vanished");
  const next = () => {
    const row = rows.shift();
    if (row === undefined) throw gone;
    return row;
  };
  const stage = new Stage(0, { rows: { next, close: async () => undefined } });
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(1);
  stage.run.receive([endOf("0")]);
  expect(await end).toEqual({ complete: false, abandoned: 0, error: gone });
  expect(stage.records).toHaveLength(1);
});

test("a task that hosts hold is adopted once, takes a token, and is not sent again", async () => {
  const stage = new Stage(2, { concurrency: 2 });
  stage.recorded.add(keyOf({ rowId: "9", trial: 0 }));
  expect(stage.run.adopt(keyOf({ rowId: "0", trial: 0 }), 2)).toBe(true);
  expect(stage.run.adopt(keyOf({ rowId: "0", trial: 0 }), 2)).toBe(false);
  expect(stage.run.adopt(keyOf({ rowId: "9", trial: 0 }), 1)).toBe(false);
  expect([...stage.run.keys()]).toEqual([keyOf({ rowId: "0", trial: 0 })]);
  const end = stage.run.play(stage);
  stage.becomeReady();
  expect(await stage.sentRows(1)).toEqual(["1"]);
  stage.run.receive([endOf("0", { attempt: 2 }), endOf("1")]);
  expect((await end).complete).toBe(true);
  expect(stage.records).toHaveLength(2);
});

test("an adopted task holds back the next row when all tokens are taken", async () => {
  let asked = 0;
  const hasRoom = () => {
    asked++;
    return true;
  };
  const stage = new Stage(2, { concurrency: 1, hasRoom });
  stage.run.adopt(keyOf({ rowId: "0", trial: 0 }), 1);
  const end = stage.run.play(stage);
  stage.becomeReady();
  await until(() => asked > 0, "admission has asked for room");
  expect(stage.sent).toEqual([]);
  stage.run.receive([endOf("0")]);
  expect(await stage.sentRows(1)).toEqual(["1"]);
  stage.run.receive([endOf("1")]);
  expect((await end).complete).toBe(true);
});

test("a run waits for its adopted tasks before it is complete", async () => {
  const stage = new Stage(0);
  stage.run.adopt(keyOf({ rowId: "0", trial: 0 }), 1);
  const end = stage.run.play(stage);
  stage.becomeReady();
  expect(stage.run.inFlight).toBe(1);
  stage.run.receive([endOf("0")]);
  expect(await end).toEqual({ complete: true, abandoned: 0, error: null });
});

test("a run that fails ends at once with its error, and counts what was in flight", async () => {
  const stage = new Stage(2);
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(2);
  const error = new MatrixError("host_lost", "no worker can run");
  stage.run.fail(error);
  expect(await end).toEqual({ complete: false, abandoned: 2, error });
  expect(stage.hasStopped).toBe(true);
});

test("a fabric that cannot be stopped is the run's error, unless the run had another before", async () => {
  const stuck = new Error("the fabric does not stop");
  const first = new MatrixError("host_lost", "no worker can run");
  for (const [cause, error] of [
    [null, stuck],
    [first, first],
  ] as const) {
    const stage = new Stage(0);
    stage.stop = () => Promise.reject(stuck);
    const end = stage.run.play(stage);
    if (cause === null) stage.becomeReady();
    else stage.run.fail(cause);
    expect(await end).toEqual({ complete: cause === null, abandoned: 0, error });
  }
});

test("a signal that has aborted already is acted on at once, and one that aborts later then", async () => {
  const acted: string[] = [];
  await onAbort(AbortSignal.abort(), () => void acted.push("early"));
  const later = new AbortController();
  const done = onAbort(later.signal, () => void acted.push("late"));
  expect(acted).toEqual(["early"]);
  later.abort();
  await done;
  expect(acted).toEqual(["early", "late"]);
});

test("something thrown by the dataset that is not an Error is the run's error in words", async () => {
  const next = () => {
    throw "gone";
  };
  const stage = new Stage(0, { rows: { next, close: async () => undefined } });
  const end = stage.run.play(stage);
  stage.becomeReady();
  expect((await end).error).toEqual(new Error("gone"));
});

test("an orphan is sent again from its row, or recorded as lost at most once", async () => {
  const stage = new Stage(1);
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(1);
  expect(stage.run.orphan(keyOf({ rowId: "0", trial: 0 }))).toBe(true);
  expect(stage.run.orphan(keyOf({ rowId: "8", trial: 0 }))).toBe(false);
  expect(stage.sent.map(({ task }) => task.attempt)).toEqual([1, 2]);
  stage.run.receive([endOf("0", { attempt: 2 })]);
  await end;

  const once = new Stage(1, { delivery: "at-most-once" });
  const onceEnd = once.run.play(once);
  once.becomeReady();
  await once.sentRows(1);
  once.run.orphan(keyOf({ rowId: "0", trial: 0 }));
  expect((await onceEnd).complete).toBe(true);
  expect(once.records).toMatchObject([{ id: "0", status: "lost", stop_reason: "lost" }]);
  expect(once.counts).toEqual([{ ok: 0, failed: 0, lost: 1 }]);
});

test("rows that are recorded already are passed over, trial by trial", async () => {
  const stage = new Stage(2, { trials: 2 });
  stage.recorded.add(keyOf({ rowId: "0", trial: 1 }));
  stage.recorded.add(keyOf({ rowId: "1", trial: 0 }));
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(2);
  expect(stage.sent.map(({ task }) => [task.rowId, task.trial])).toEqual([
    ["0", 0],
    ["1", 1],
  ]);
  stage.run.receive([endOf("0"), endOf("1", { trial: 1 })]);
  expect((await end).complete).toBe(true);
});

test("no task begins while the budget has no room, and one does when a task has ended", async () => {
  const asked: number[] = [];
  const hasRoom = (inFlight: number) => {
    asked.push(inFlight);
    return inFlight === 0;
  };
  const stage = new Stage(2, { hasRoom });
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(1);
  await until(() => asked.includes(1), "room was asked for a second task");
  expect(stage.sent).toHaveLength(1);
  stage.run.receive([endOf("0")]);
  await stage.sentRows(2);
  stage.run.receive([endOf("1")]);
  expect((await end).complete).toBe(true);
});

test("a step that reaches the sink is a bug", () => {
  const stage = new Stage(0);
  const { task } = endOf("0");
  expect(() => stage.run.receive([{ kind: "step", task }])).toThrow("bug: a step for a");
});

test("the record takes the driver's time of admission, and the task's own where it was adopted", async () => {
  const stage = new Stage(1);
  stage.run.adopt(keyOf({ rowId: "7", trial: 0 }), 1);
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(1);
  stage.run.receive([endOf("0", { admittedAt: 40 }), endOf("7", { admittedAt: 40 })]);
  await end;
  expect(stage.records.map(({ timing }) => timing.total_ms)).toEqual([0, 60]);
});

test("a run stops early: it admits no further row, and lets the tasks in flight end", async () => {
  const earlyStop = new EarlyStop({ after: 2, hasSucceeded: false });
  const stage = new Stage(9, { concurrency: 3, earlyStop });
  const end = stage.run.play(stage);
  stage.becomeReady();
  expect(await stage.sentRows(3)).toEqual(["0", "1", "2"]);
  const denied = { code: "model_denied" };
  stage.run.receive([endOf("0", denied)]);
  expect(await stage.sentRows(4)).toEqual(["0", "1", "2", "3"]);
  stage.run.receive([endOf("1", denied), endOf("2"), endOf("3", denied)]);
  expect(await end).toEqual({ complete: false, abandoned: 3, error: null });
  expect(stage.records.map(({ id, status }) => [id, status])).toEqual([["2", "ok"]]);
  expect(stage.heldBack).toEqual(["0", "1", "3"]);
  expect(stage.sent).toHaveLength(4);
  expect(earlyStop.reason).toContain("2 tasks ended alike");
});

test("a run of fewer rows than stop_after is not complete when nothing but a lasting error came", async () => {
  const earlyStop = new EarlyStop({ after: 20, hasSucceeded: false });
  const stage = new Stage(2, { earlyStop });
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(2);
  stage.run.receive([endOf("0", { code: "model_denied" }), endOf("1", { code: "model_denied" })]);
  expect(await end).toEqual({ complete: false, abandoned: 2, error: null });
  expect(stage.records).toEqual([]);
});

test("held ends are recorded at the end of a complete run, and given up by one that is drained", async () => {
  for (const isDrained of [false, true]) {
    const stage = new Stage(1, { earlyStop: new EarlyStop({ after: 20, hasSucceeded: true }) });
    const end = stage.run.play(stage);
    stage.becomeReady();
    await stage.sentRows(1);
    if (isDrained) stage.halt.abort();
    stage.run.receive([endOf("0", { code: "model_denied" })]);
    const expected = isDrained ? [false, 1, 0] : [true, 0, 1];
    const { complete, abandoned } = await end;
    expect([complete, abandoned, stage.records.length]).toEqual(expected as [boolean, ...number[]]);
  }
});

test("an end that hosts still hold of a superseded attempt is released, and its row runs again", async () => {
  const beginningOf = () => ({ attempt: 2, redraws: 0 });
  const stage = new Stage(1, { beginningOf });
  const playing = stage.run.play(stage);
  expect(stage.run.adopt(keyOf({ rowId: "0", trial: 0 }), 1)).toBe(false);
  stage.run.receive([endOf("0", { attempt: 1 })]);
  stage.becomeReady();
  expect(await stage.sentRows(1)).toEqual(["0"]);
  expect(stage.sent[0]?.task.attempt).toBe(2);
  stage.run.receive([endOf("0", { attempt: 1, code: "agent_failed" })]);
  expect(stage.released.map(({ task }) => task.attempt)).toEqual([1, 1]);
  expect(stage.records).toEqual([]);
  stage.run.receive([endOf("0", { attempt: 2 })]);
  expect(await playing).toMatchObject({ complete: true });
  expect(stage.records.map(({ attempt, status }) => [attempt, status])).toEqual([[2, "ok"]]);
});

test("a task that no host has ended 45 s after its time is recorded as late, unless the driver stood still", async () => {
  const clock = { now: 100 };
  const stage = new Stage(2, { clock: () => clock.now, taskTimeoutMs: 20_000 });
  const end = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(2);
  const expireUntil = (time: number) => {
    for (; clock.now < time; stage.run.expire()) clock.now = Math.min(clock.now + 1000, time);
  };
  clock.now += 100_000;
  stage.run.expire();
  const woken = clock.now;
  expireUntil(woken + 44_999);
  expect(stage.run.inFlight).toBe(2);
  stage.run.receive([endOf("0")]);
  expireUntil(woken + 45_000);
  expect(stage.run.inFlight).toBe(0);
  expect((await end).complete).toBe(true);
  expect(stage.records.map(({ id, error }) => [id, error?.code, error?.message])).toEqual([
    ["0", undefined, undefined],
    ["1", "task_timeout", "no host has ended the task within 20000 ms (run.timeout)"],
  ]);
  // The end of a host that was slow comes twice to the sink.
  stage.run.receive([endOf("1")]);
  expect(stage.records).toHaveLength(2);
});

test("a row whose host hands over something that is not a record starts again, and fails after its last attempt", async () => {
  const stage = new Stage(1);
  const ended = stage.run.play(stage);
  stage.becomeReady();
  await stage.sentRows(1);
  const spoilt = (attempt: number): EndMessage => {
    const end = endOf("0", { attempt });
    const { rowBytes, totals } = encodeTask({ ...end.task, history: [] });
    const trail = [{ host: "h-1", id: 1, bytes: 3 }];
    const task = new EncodedTask(end.task, rowBytes, Buffer.from("{,}"), totals, trail, {});
    return { ...end, task };
  };
  for (const attempt of [1, 2]) {
    const end = spoilt(attempt);
    stage.run.receive([end]);
    await until(() => stage.sent.length === attempt + 1, "the row starts again");
    expect(stage.sent.at(-1)?.task.attempt).toBe(attempt + 1);
    expect(stage.released.at(-1)?.task).toBe(end.task);
  }
  stage.run.receive([spoilt(3)]);
  await ended;
  const problem = "its row or its history is not JSON";
  expect(stage.spoilt).toEqual(Array(3).fill(`0 h-1: ${problem}`));
  expect(stage.records).toMatchObject([
    {
      ...{ id: "0", status: "failed", attempt: 3 },
      error: {
        code: "wire_invalid",
        message: `a host handed over something that is not a record: ${problem}`,
      },
    },
  ]);
});
