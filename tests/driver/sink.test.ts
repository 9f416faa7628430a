// The sink: which ends become records, in which order they are written, and when tokens come back.

import { expect, test } from "bun:test";
import { checkedEnd } from "../../src/driver/arrived-record.ts";
import { EarlyStop } from "../../src/driver/early-stop.ts";
import { InFlight } from "../../src/driver/in-flight.ts";
import { Sink } from "../../src/driver/sink.ts";
import { Tokens } from "../../src/driver/tokens.ts";
import { MatrixError } from "../../src/error.ts";
import { EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import {
  type Counts,
  RECORD_BYTES_MAX,
  type RecordHead,
  type RecordLine,
} from "../../src/task/record.ts";
import type { EndMessage, Task } from "../../src/task/task.ts";
import type { Tracing } from "../../src/telemetry/tracing.ts";
import { until } from "../parts/until.ts";
import { countsOf } from "./counts-of.ts";
import { admitted, endOf, ONE_STEP } from "./task-parts.ts";

function createSink(tracing: Tracing | null = null, after = 0) {
  const inFlight = new InFlight({ rule: ONE_STEP, delivery: "retry", maxAttempts: 3 });
  const tokens = new Tokens(10);
  const happened: string[] = [];
  const appended: { lines: readonly RecordLine[]; counts: Counts }[] = [];
  const records: { record: RecordHead; hops: number }[] = [];
  const errors: MatrixError[] = [];
  const earlyStop = new EarlyStop({ after, hasSucceeded: false });
  const world = {
    append: async () => undefined as undefined,
    hold: null as Promise<void> | null,
  };
  const sink = new Sink({
    keeper: {
      append: async (lines, records) => {
        appended.push({ lines, counts: countsOf(records) });
        await world.append();
        happened.push(`appended ${lines.length}`);
      },
      wrote: (record, hops) => {
        records.push({ record, hops });
        happened.push(`wrote ${record.id}`);
      },
      heldBack: ({ rowId }) => happened.push(`held back ${rowId}`),
      hold: () => world.hold,
    },
    earlyStop,
    inFlight,
    tokens,
    clock: () => 100,
    tracing,
    release: (ends) => happened.push(`released ${ends.map(({ task }) => task.rowId).join(",")}`),
    fail: (error) => errors.push(error),
  });
  const admit = (...rows: readonly string[]) => {
    for (const row of rows) {
      inFlight.admit(admitted(row, { admittedAt: 40 }));
      tokens.take();
    }
  };
  return {
    sink,
    earlyStop,
    inFlight,
    tokens,
    happened,
    appended,
    records,
    errors,
    world,
    admit,
  };
}

const withHistory = (end: EndMessage, history: Task["history"]): EndMessage => ({
  ...end,
  task: { ...end.task, history },
});
const hop = { hop: 0, role: "a", host: "h", at: "", queue_ms: 2, run_ms: 3, result: "yes" };
const parse = (line: RecordLine | undefined) => JSON.parse(String(line?.[0])) as unknown;

test("what a host hands over is no record: the task fails, others are written, and the file stays whole", async () => {
  const { sink, tokens, appended, records, admit } = createSink();
  admit("x", "y", "z");
  const spoilt = (row: string, rowBytes: string, historyBytes: string): EndMessage => {
    const end = endOf(row);
    const encoded = encodeTask({ ...end.task, history: [hop] });
    const bytes = [rowBytes, historyBytes].map((text) => Buffer.from(text)) as [Buffer, Buffer];
    const task = new EncodedTask(encoded, ...bytes, encoded.totals, [], {});
    return checkedEnd({ ...end, task }, 100, () => undefined);
  };
  const sound = encodeTask({ ...endOf("z").task, history: [hop] });
  sink.receive([
    spoilt("x", '{"q":"x"}', '{"hop":'),
    spoilt("y", "nonsense", ""),
    { ...endOf("z"), task: sound },
  ]);
  await tokens.allBack();
  expect(appended[0]?.counts).toEqual({ ok: 1, failed: 2, lost: 0 });
  const problem = "its row or its history is not JSON";
  expect(records.map(({ record, hops }) => [record.id, record.status, hops])).toEqual([
    ["x", "failed", 1],
    ["y", "failed", 1],
    ["z", "ok", 1],
  ]);
  const [first, second] = (appended[0]?.lines ?? []).slice(0, 2).map(parse);
  expect(first).toMatchObject({
    ...{ id: "x", status: "failed", stop_reason: "error", row: { q: "x" }, history: [] },
    error: {
      code: "wire_invalid",
      message: `a host handed over something that is not a record: ${problem}`,
    },
  });
  expect(second).toMatchObject({ id: "y", row: {}, history: [] });
});

test("a record is written before its end is released, told and its token given back", async () => {
  const { sink, inFlight, tokens, happened, appended, records, admit } = createSink();
  admit("x", "y");
  sink.receive([withHistory(endOf("x"), [hop]), endOf("y", { code: "agent_failed" })]);
  expect([inFlight.size, tokens.taken]).toEqual([0, 2]);
  await tokens.allBack();
  expect(happened).toEqual(["appended 2", "released x,y", "wrote x", "wrote y"]);
  expect(appended[0]?.counts).toEqual({ ok: 1, failed: 1, lost: 0 });
  expect(records.map(({ hops }) => hops)).toEqual([1, 0]);
  expect(parse(appended[0]?.lines[0])).toEqual({
    ...records[0]?.record,
    row: { q: "x" },
    history: [hop],
  });
  expect(records[0]?.record).toMatchObject({
    id: "x",
    status: "ok",
    timing: {
      admitted_at: new Date(40).toISOString(),
      ended_at: new Date(100).toISOString(),
      total_ms: 60,
      queue_ms: 2,
      run_ms: 3,
    },
  });
  expect(records[1]?.record).toMatchObject({ id: "y", error: { code: "agent_failed" } });
});

test("an end whose task is not in flight is released at once, and not recorded", () => {
  const { sink, tokens, happened, appended } = createSink();
  sink.receive([endOf("x"), endOf("y")]);
  expect([happened, appended, tokens.taken]).toEqual([["released x,y"], [], 0]);
  sink.receive([]);
  expect(happened).toEqual(["released x,y"]);
});

test("ends that are doubled in one batch are told apart from the first ones", async () => {
  const { sink, tokens, happened, admit } = createSink();
  admit("x");
  sink.receive([endOf("x"), endOf("x")]);
  await tokens.allBack();
  expect(happened).toEqual(["released x", "appended 1", "released x", "wrote x"]);
});

test("a later batch is told only after the earlier one, though it was written first", async () => {
  const { sink, tokens, happened, world, admit } = createSink();
  admit("x", "y");
  const first = Promise.withResolvers<undefined>();
  world.append = () => first.promise;
  sink.receive([endOf("x")]);
  world.append = async () => undefined;
  sink.receive([endOf("y")]);
  await until(() => happened.length === 1, "the second batch is written");
  expect(happened).toEqual(["appended 1"]);
  first.resolve(undefined);
  await tokens.allBack();
  expect(happened.slice(1)).toEqual([
    "appended 1",
    "released x",
    "wrote x",
    "released y",
    "wrote y",
  ]);
});

test("tokens come back when the keeper's hold is over", async () => {
  const { sink, tokens, happened, world, admit } = createSink();
  admit("x", "y");
  const held = Promise.withResolvers<void>();
  world.hold = held.promise;
  sink.receive([endOf("x"), endOf("y")]);
  await until(() => happened.length === 4, "both records are written");
  await new Promise(setImmediate);
  expect(tokens.taken).toBe(2);
  held.resolve();
  await tokens.allBack();
});

test("a line that cannot be written fails the run, and gives back neither end nor token", async () => {
  const { sink, tokens, happened, errors, world, admit } = createSink();
  admit("x", "y", "z");
  const cause = new Error("no space left on device");
  world.append = () => Promise.reject(cause);
  sink.receive([endOf("x")]);
  await until(() => errors.length === 1, "the run has failed");
  expect(errors[0]).toMatchObject({ code: "storage_failed", message: cause.message, cause });
  const own = new MatrixError("run_refused", "the directory is another run's");
  world.append = () => Promise.reject(own);
  sink.receive([endOf("y")]);
  await until(() => errors.length === 2, "the run has failed again");
  expect(errors[1]).toBe(own);
  expect([happened, tokens.taken]).toEqual([[], 3]);
});

const UNWRITABLE = {
  toJSON: () => {
    throw new Error("no JSON of this");
  },
};

test("a result that JSON cannot carry makes the task a failed one without a history", async () => {
  const { sink, tokens, appended, records, admit } = createSink();
  admit("x");
  sink.receive([withHistory(endOf("x"), [{ ...hop, result: UNWRITABLE as never }])]);
  await tokens.allBack();
  expect(appended[0]?.counts).toEqual({ ok: 0, failed: 1, lost: 0 });
  const { record } = records[0] ?? {};
  expect(record).toMatchObject({
    id: "x",
    status: "failed",
    stop_reason: "error",
    score: null,
    error: {
      code: "agent_failed",
      message: expect.stringMatching(/^a result is not JSON: .*no JSON of this/),
      role: null,
      hop: null,
    },
    timing: { total_ms: 60 },
  });
  expect(parse(appended[0]?.lines[0])).toEqual({ ...record, row: { q: "x" }, history: [] });
});

test("the trace of a task ends with its record, and says why a task failed", async () => {
  const traced: unknown[] = [];
  const tracing: Tracing = {
    startTask: () => "",
    hop: () => undefined,
    endTask: (trace, span) => void traced.push([trace, span]),
    close: async () => undefined,
  };
  const { sink, tokens, admit } = createSink(tracing);
  admit("x", "y", "z");
  const withTrace = (end: EndMessage): EndMessage => ({
    ...end,
    task: { ...end.task, trace: `trace-of-${end.task.rowId}` },
  });
  sink.receive([
    withTrace(endOf("x")),
    withTrace(endOf("y", { code: "agent_failed" })),
    endOf("z"),
  ]);
  await tokens.allBack();
  const times = { startedAt: 40, endedAt: 100, trial: 0 };
  expect(traced).toEqual([
    ["trace-of-x", { rowId: "x", status: "ok", stopReason: "completed", ...times }],
    [
      "trace-of-y",
      { rowId: "y", status: "failed", stopReason: "error", error: "agent_failed", ...times },
    ],
  ]);
});

test("a held end is released, told and gives its token back; a later record takes one again", async () => {
  const { sink, earlyStop, tokens, happened, appended, records, admit } = createSink(null, 3);
  admit("x", "y");
  sink.receive([endOf("x", { code: "model_denied" })]);
  expect(happened).toEqual(["released x", "held back x"]);
  expect([tokens.taken, appended.length, earlyStop.unrecorded]).toEqual([1, 0, 1]);
  sink.receive([withHistory(endOf("y"), [{ ...hop, at: new Date(98).toISOString() }])]);
  expect(tokens.taken).toBe(2);
  await tokens.allBack();
  expect(records.map(({ record }) => [record.id, record.status])).toEqual([
    ["x", "failed"],
    ["y", "ok"],
  ]);
  expect(appended.map(({ counts }) => counts)).toEqual([{ ok: 1, failed: 1, lost: 0 }]);
  sink.finish();
  expect([tokens.taken, appended.length]).toEqual([0, 1]);
});

test("held ends of a run that is over are written, and their tokens come back after that", async () => {
  const { sink, tokens, records, admit } = createSink(null, 3);
  admit("x");
  sink.receive([endOf("x", { code: "model_unavailable" })]);
  expect(tokens.taken).toBe(0);
  sink.finish();
  expect([tokens.taken, records.length]).toEqual([1, 0]);
  await tokens.allBack();
  expect(records).toMatchObject([{ record: { id: "x", timing: { total_ms: 60 } } }]);
});

test("a record that no reader could hold is a failed one without its content", async () => {
  const { sink, tokens, appended, records, admit } = createSink();
  admit("x", "y");
  const long = (bytes: number) => ({ ...hop, result: "é".repeat(bytes / 2) });
  const half = RECORD_BYTES_MAX / 2;
  sink.receive([withHistory(endOf("x"), [long(half), long(half)])]);
  sink.receive([withHistory(endOf("y"), [long(half), long(half - 2048)])]);
  await tokens.allBack();
  const [x, y] = records.map(({ record }) => record);
  expect(x).toMatchObject({
    status: "failed",
    stop_reason: "error",
    error: {
      code: "task_too_large",
      message: "the record is larger than 128 MiB",
      role: null,
      hop: null,
    },
  });
  expect(parse(appended[0]?.lines[0])).toEqual({ ...x, row: {}, history: [] });
  expect(appended[0]?.counts).toEqual({ ok: 0, failed: 1, lost: 0 });
  expect(y).toMatchObject({ status: "ok" });
});
