// The record: one line of trajectories.jsonl, exactly one for each (row, trial). Members are
// spelled as they stand in the file.

import { EncodedTask, totalsOf } from "./encoded.ts";
import { withoutMarks } from "./exact.ts";
import type { Json, JsonObject } from "./json.ts";
import type { Ending, Hop, StopReason, Task, TaskError, Usage } from "./task.ts";

export const RECORD_FORMAT = "matrix-trajectory-1";

export interface TrajectoryRecord {
  readonly format: typeof RECORD_FORMAT;
  readonly id: string;
  readonly trial: number;
  readonly seed: number;
  readonly attempt: number;
  readonly status: Ending["status"];
  readonly stop_reason: StopReason;
  readonly score: number | null;
  readonly outcome: JsonObject | null;
  readonly error: TaskError | null;
  /** True when any answer came from a simulated model. */
  readonly simulated: boolean;
  readonly usage: Usage;
  /** In the currency of the recipe's prices; null when no hop had a price. */
  readonly cost: number | null;
  readonly timing: Timing;
  readonly trace_id: string | null;
  readonly row: JsonObject;
  readonly history: readonly Hop[];
}

/** Number of records of a run by status. */
export type Counts = Readonly<Record<Ending["status"], number>>;

/**
 * `run_ms` is time inside agents, `queue_ms` is time in the queues of roles, and the rest of
 * `total_ms` is spent by the runtime.
 */
export interface Timing {
  readonly admitted_at: string;
  readonly ended_at: string;
  readonly total_ms: number;
  readonly queue_ms: number;
  readonly run_ms: number;
}

/** A record without its content, which may stay in the bytes that it arrived in. */
export type RecordHead = Omit<TrajectoryRecord, "row" | "history">;

/** Milliseconds since the epoch, both read from one clock. */
export interface Times {
  readonly admittedAt: number;
  readonly endedAt: number;
}

/** The beginning of a hop's `model` when no real model answered. */
const SIMULATED = /^(simulated|scripted):/;

/** The record of a finished task, without its row and history. */
export function createHead(task: Task, ending: Ending, times: Times): RecordHead {
  const { admittedAt, endedAt } = times;
  const { queueMs, runMs, usage, cost, models } = totalsOf(task);
  return {
    format: RECORD_FORMAT,
    id: task.rowId,
    trial: task.trial,
    seed: task.seed,
    attempt: task.attempt,
    status: ending.status,
    stop_reason: ending.stopReason,
    score: ending.score,
    outcome: ending.outcome,
    error: ending.error,
    simulated: models.some((model) => SIMULATED.test(model)),
    usage,
    cost,
    timing: {
      admitted_at: isoTime(admittedAt),
      ended_at: isoTime(endedAt),
      total_ms: roundMs(endedAt - admittedAt),
      queue_ms: roundMs(queueMs),
      run_ms: roundMs(runMs),
    },
    trace_id: task.trace === null ? null : (task.trace.split("-")[1] ?? null),
  };
}

/** A line of trajectories.jsonl without its newline, in parts: text, or bytes of UTF-8. */
export type RecordLine = readonly (string | Uint8Array)[];

/**
 * No longer line is written. Row and history, outcome and error have limits of their own, which are
 * smaller together.
 */
export const RECORD_BYTES_MAX = 128 * 2 ** 20;
const BYTES_PER_UNIT_MAX = 3;

export function isTooLong(line: RecordLine): boolean {
  const upTo = line.reduce((sum, { length }) => sum + length * BYTES_PER_UNIT_MAX, 0);
  if (upTo <= RECORD_BYTES_MAX) return false;
  return line.reduce((sum, part) => sum + Buffer.byteLength(part), 0) > RECORD_BYTES_MAX;
}

/** The line of a record. An encoded task gives its bytes as they are. */
export function encodeRecord(head: RecordHead, task: Task): RecordLine {
  if (!(task instanceof EncodedTask))
    return [JSON.stringify({ ...head, row: task.row, history: task.history })];
  return [
    `${JSON.stringify(head).slice(0, -1)},"row":`,
    withoutMarks(task.rowBytes),
    ',"history":[',
    withoutMarks(task.historyBytes),
    "]}",
  ];
}

/**
 * RFC 3339 in UTC with milliseconds. The function keeps its last text, because at full speed
 * hundreds of hops share a millisecond.
 */
export function isoTime(epochMs: number): string {
  const whole = Math.floor(epochMs);
  if (whole !== lastWholeMs) {
    lastWholeMs = whole;
    lastIso = new Date(whole).toISOString();
  }
  return lastIso;
}
let lastWholeMs = Number.NaN;
let lastIso = "";

/** Milliseconds rounded to the microsecond, and never below 0: the wall clock may step back. */
export function roundMs(ms: number): number {
  return ms > 0 ? Math.round(ms * 1000) / 1000 : 0;
}

/** The text of a result in the OpenAI message shape; null for any other result. */
export function chatContent(result: Json): string | null {
  if (typeof result !== "object" || result === null || !("content" in result)) return null;
  return typeof result.content === "string" ? result.content : null;
}
