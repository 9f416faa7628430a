// The early stop: which ends are held, when they become records after all, and when the run stops.

import { expect, test } from "bun:test";
import { type Arrived, EarlyStop } from "../../src/driver/early-stop.ts";
import type { ErrorCode } from "../../src/error.ts";
import type { EndMessage, Hop, StopReason } from "../../src/task/task.ts";
import { endOf } from "./task-parts.ts";

const stopAfter = (after: number, hasSucceeded = false) => new EarlyStop({ after, hasSucceeded });

/** An end that arrives at `at` milliseconds. */
const at = (ms: number, end: EndMessage): Arrived => ({
  end,
  times: { admittedAt: 0, endedAt: ms },
});
const failed = (row: string, code: ErrorCode, role = "a", ms = 100): Arrived => {
  const end = endOf(row, { code });
  const error = { code, message: `${code} of ${row}`, role, hop: 0 };
  return at(ms, { ...end, ending: { ...end.ending, error } });
};
const ended = (row: string, stopReason: StopReason = "completed"): Arrived => {
  const end = endOf(row);
  return at(100, { ...end, ending: { ...end.ending, stopReason } });
};
/** The end with hops of these roles that were finished at these milliseconds. */
const after = (
  arrived: Arrived,
  hops: readonly (readonly [role: string, ms: number])[],
): Arrived => {
  const history = hops.map(
    ([role, ms], hop): Hop => ({
      ...{ hop, role, host: "h", result: null, queue_ms: 0, run_ms: 10 },
      at: new Date(ms - 10).toISOString(),
    }),
  );
  return at(arrived.times.endedAt, { ...arrived.end, task: { ...arrived.end.task, history } });
};
const rowsOf = (arrived: readonly Arrived[]) => arrived.map(({ end }) => end.task.rowId);

test("the run stops with the n-th end alike, and none of them is recorded", () => {
  const stop = stopAfter(3);
  expect(rowsOf(stop.take(failed("1", "model_denied"), 0))).toEqual([]);
  expect(rowsOf(stop.take(failed("2", "model_denied"), 0))).toEqual([]);
  expect([stop.reason, stop.signal.aborted, stop.unrecorded]).toEqual([null, false, 2]);
  expect(rowsOf(stop.take(failed("3", "model_denied"), 0))).toEqual([]);
  expect([stop.signal.aborted, stop.unrecorded]).toEqual([true, 3]);
  expect(stop.reason).toBe(
    "3 tasks ended alike, with model_denied in a: model_denied of 3 " +
      "(check api_key, model and base_url of the model, and the account's balance)",
  );
  expect(rowsOf(stop.finish())).toEqual([]);
  expect(stop.unrecorded).toBe(3);
});

test("after the stop, ends alike are dropped and every other end is recorded", () => {
  const stop = stopAfter(1);
  stop.take(failed("1", "model_denied"), 0);
  expect(rowsOf(stop.take(failed("2", "sandbox_invalid", "b"), 0))).toEqual([]);
  expect(rowsOf(stop.take(failed("3", "agent_failed"), 0))).toEqual(["3"]);
  expect(rowsOf(stop.take(ended("4"), 0))).toEqual(["4"]);
  expect(stop.unrecorded).toBe(2);
  expect(stop.reason).toContain("1 task ended alike, with model_denied in a");
});

test("stop_after = 0 records every end at once", () => {
  const stop = stopAfter(0);
  for (let row = 0; row < 50; row++)
    expect(rowsOf(stop.take(failed(`${row}`, "model_denied"), 0))).toEqual([`${row}`]);
  expect(rowsOf(stop.take(ended("x", "cut"), 0))).toEqual(["x"]);
  expect([stop.finish(), stop.reason, stop.unrecorded]).toEqual([[], null, 0]);
});

test.each([
  "model_denied",
  "model_unavailable",
  "sandbox_invalid",
  "sandbox_unavailable",
  "sandbox_lost",
  "sandbox_bad_answer",
  "program_failed",
  "not_recorded",
] as const)("%s is an error that no row can change, also late in a run", (code) => {
  const stop = stopAfter(2, true);
  stop.take(failed("1", code), 0);
  expect(rowsOf(stop.take(failed("2", code), 0))).toEqual([]);
  expect(stop.signal.aborted).toBe(true);
});

test.each([
  "agent_failed",
  "agent_timeout",
  "schema_mismatch",
  "prompt_failed",
  "sandbox_fenced",
  "model_failed",
  "model_overloaded",
  "max_hops",
] as const)("%s may be the fault of a row, and never stops a run", (code) => {
  const stop = stopAfter(1);
  expect(rowsOf(stop.take(failed("1", code), 0))).toEqual(["1"]);
  expect(stop.reason).toBeNull();
});

test("ends of another role or with another code do not count together", () => {
  const stop = stopAfter(2);
  stop.take(failed("1", "model_denied", "a"), 0);
  stop.take(failed("2", "model_denied", "b"), 0);
  stop.take(failed("3", "model_unavailable", "a"), 0);
  expect([stop.reason, stop.unrecorded]).toEqual([null, 3]);
  stop.take(failed("4", "model_denied", "b"), 0);
  expect(stop.reason).toContain("2 tasks ended alike, with model_denied in b: model_denied of 4");
});

test("an answer of the role since then makes the held ends records, before the end that shows it", () => {
  const stop = stopAfter(3);
  stop.take(failed("1", "model_denied", "a", 100), 0);
  stop.take(failed("2", "model_denied", "a", 200), 0);
  expect(rowsOf(stop.take(after(ended("3"), [["a", 100]]), 0))).toEqual(["1", "2", "3"]);
  expect(stop.unrecorded).toBe(0);
  stop.take(failed("4", "model_denied", "a", 300), 0);
  stop.take(failed("5", "model_denied", "a", 300), 0);
  expect([stop.reason, stop.unrecorded]).toEqual([null, 2]);
});

test("an answer from before the first end, or of another role, proves nothing", () => {
  const stop = stopAfter(3);
  stop.take(failed("1", "model_denied", "a", 100), 0);
  expect(rowsOf(stop.take(after(ended("2"), [["a", 99]]), 0))).toEqual(["2"]);
  expect(rowsOf(stop.take(after(ended("3"), [["b", 500]]), 0))).toEqual(["3"]);
  expect(rowsOf(stop.take(failed("4", "agent_failed", "b"), 0))).toEqual(["4"]);
  stop.take(failed("5", "model_denied", "a", 500), 0);
  stop.take(failed("6", "model_denied", "a", 500), 0);
  expect(stop.reason).toContain("3 tasks ended alike");
});

test("a task that failed late in its dialogue shows that the role had answered, and is held itself", () => {
  const stop = stopAfter(2);
  stop.take(failed("1", "model_denied", "a", 100), 0);
  const late = after(failed("2", "model_denied", "a", 300), [["a", 200]]);
  expect(rowsOf(stop.take(late, 0))).toEqual(["1"]);
  expect([stop.reason, stop.unrecorded]).toEqual([null, 1]);
});

test("a run without any whole answer stops, whatever kept the answers from being whole", () => {
  const stop = stopAfter(4);
  stop.take(ended("1", "cut"), 0);
  stop.take(failed("2", "model_answer_too_large"), 0);
  stop.take(failed("3", "model_refused_request"), 0);
  expect(stop.reason).toBeNull();
  stop.take(ended("4", "cut"), 0);
  expect(stop.reason).toBe(
    "no task has a whole answer, and 4 tasks ended, the last with cut " +
      '(raise max_tokens, or let roles accept it (accepts = ["cut"]))',
  );
});

test("one whole answer makes unanswered tasks records, from then on", () => {
  const stop = stopAfter(2);
  expect(rowsOf(stop.take(ended("1", "cut"), 0))).toEqual([]);
  expect(rowsOf(stop.take(ended("2"), 0))).toEqual(["1", "2"]);
  for (const row of ["3", "4", "5"])
    expect(rowsOf(stop.take(ended(row, "refused"), 0))).toEqual([row]);
  expect(rowsOf(stop.take(failed("6", "model_bad_answer"), 0))).toEqual(["6"]);
  expect(stop.reason).toBeNull();
});

test("tasks without an answer end first, so as many as are in flight must end so", () => {
  const stop = stopAfter(2);
  stop.take(ended("1", "refused"), 9);
  stop.take(ended("2", "refused"), 4);
  stop.take(ended("3", "refused"), 4);
  expect([stop.reason, stop.unrecorded]).toEqual([null, 3]);
  stop.take(ended("4", "refused"), 4);
  expect(stop.reason).toContain("no task has a whole answer, and 4 tasks ended");
  const denied = stopAfter(2);
  denied.take(failed("1", "model_denied"), 99);
  denied.take(failed("2", "model_denied"), 99);
  expect(denied.reason).toContain("2 tasks ended alike");
});

test("a whole answer in a task that later got none shows that models answer", () => {
  const stop = stopAfter(2);
  const hop: Hop = {
    ...{ hop: 0, role: "a", host: "h", at: "", queue_ms: 0, run_ms: 0, model: "m", result: "" },
  };
  const with_ = (arrived: Arrived, history: readonly Hop[]): Arrived => ({
    ...arrived,
    end: { ...arrived.end, task: { ...arrived.end.task, history } },
  });
  expect(rowsOf(stop.take(with_(ended("1", "cut"), [hop]), 0))).toEqual([]);
  expect(rowsOf(stop.take(with_(ended("2", "cut"), [hop, hop]), 0))).toEqual(["1", "2"]);
  const other = stopAfter(2);
  const missed = { ...hop, error: "schema_mismatch" };
  other.take(with_(failed("1", "model_bad_answer"), [missed]), 0);
  expect(other.unrecorded).toBe(1);
  expect(rowsOf(other.take(with_(failed("2", "agent_failed"), [hop]), 0))).toEqual(["1", "2"]);
});

test("a run that went on after a success records unanswered tasks at once", () => {
  expect(rowsOf(stopAfter(2, true).take(ended("1", "cut"), 0))).toEqual(["1"]);
});

test("a small run in which nothing succeeded stops for an error that lasts", () => {
  for (const code of ["model_denied", "sandbox_invalid", "program_failed"] as const) {
    const stop = stopAfter(20);
    stop.take(failed("1", "agent_failed"), 0);
    stop.take(failed("2", code), 0);
    expect(rowsOf(stop.finish())).toEqual([]);
    expect([stop.signal.aborted, stop.unrecorded]).toEqual([true, 1]);
    expect(stop.reason).toContain(`1 task ended alike, with ${code} in a`);
  }
});

test("a small run records its held ends when something succeeded, now or before", () => {
  const now = stopAfter(20);
  now.take(ended("1"), 0);
  now.take(failed("2", "model_denied", "b"), 0);
  expect(rowsOf(now.finish())).toEqual(["2"]);
  expect([now.reason, now.unrecorded]).toEqual([null, 0]);
  const before = stopAfter(20, true);
  before.take(failed("1", "model_denied"), 0);
  expect(rowsOf(before.finish())).toEqual(["1"]);
});

test("a small run records ends that time or another row may mend", () => {
  const stop = stopAfter(20);
  stop.take(failed("1", "model_unavailable"), 0);
  stop.take(ended("2", "cut"), 0);
  stop.take(failed("3", "sandbox_unavailable"), 0);
  expect(rowsOf(stop.finish())).toEqual(["1", "2", "3"]);
  expect(stop.reason).toBeNull();
});
