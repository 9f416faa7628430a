// The record: one line of trajectories.jsonl, exactly one per (row, trial). Spelled as written.

import { EncodedTask, totalsOf } from "./encoded.ts";
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
  /** Null where no model has a price. */
  readonly cost: number | null;
  readonly timing: Timing;
  readonly trace_id: string | null;
  readonly row: JsonObject;
  readonly history: readonly Hop[];
}

/** How many records a run has of each status. */
export type Counts = Readonly<Record<Ending["status"], number>>;

/** Milliseconds. `run_ms` is time inside agents, `queue_ms` time in role queues; the rest of `total_ms` is ours. */
export interface Timing {
  readonly admitted_at: string;
  readonly ended_at: string;
  readonly total_ms: number;
  readonly queue_ms: number;
  readonly run_ms: number;
}

/** A record without its content, which may stay in the bytes that it came in. */
export type RecordHead = Omit<TrajectoryRecord, "row" | "history">;

/** Of one clock, in milliseconds since the epoch. */
export interface Times {
  readonly admittedAt: number;
  readonly endedAt: number;
}

/** What a hop's `model` begins with where no real one answered. */
const SIMULATED = /^(simulated|scripted):/;

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

/** A record's line without its newline, in parts that are text or JSON in UTF-8. */
export type RecordLine = readonly (string | Uint8Array)[];

export function encodeRecord(head: RecordHead, task: Task): RecordLine {
  if (!(task instanceof EncodedTask))
    return [JSON.stringify({ ...head, row: task.row, history: task.history })];
  return [
    `${JSON.stringify(head).slice(0, -1)},"row":`,
    task.rowBytes,
    ',"history":[',
    task.historyBytes,
    "]}",
  ];
}

/** RFC 3339 in UTC with milliseconds. The last text is kept: at full speed hundreds of hops share a millisecond. */
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

/** Milliseconds rounded to the microsecond, and never below zero: the wall clock may step back. */
export function roundMs(ms: number): number {
  return ms > 0 ? Math.round(ms * 1000) / 1000 : 0;
}

/** A result as an object with text `content`, the OpenAI message shape; null when it is none. */
export function chatContent(result: Json): string | null {
  if (typeof result !== "object" || result === null || !("content" in result)) return null;
  return typeof result.content === "string" ? result.content : null;
}
