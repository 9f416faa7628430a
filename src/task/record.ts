// The record: one line of trajectories.jsonl, exactly one per (row, trial). Spelled as written.

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
  readonly row: JsonObject;
  readonly history: readonly Hop[];
  readonly usage: Usage;
  /** Null where no model has a price. */
  readonly cost: number | null;
  readonly timing: Timing;
  readonly trace_id: string | null;
}

/** Milliseconds. `run_ms` is time inside agents, `queue_ms` time in role queues; the rest of `total_ms` is ours. */
export interface Timing {
  readonly admitted_at: string;
  readonly ended_at: string;
  readonly total_ms: number;
  readonly queue_ms: number;
  readonly run_ms: number;
}

export function createRecord(task: Task, ending: Ending, endedAt: number, simulatedModels: ReadonlySet<string>): TrajectoryRecord {
  let requests = 0;
  let promptTokens = 0;
  let completionTokens = 0;
  let cost: number | null = null;
  let queueMs = 0;
  let runMs = 0;
  let simulated = false;
  for (const hop of task.history) {
    queueMs += hop.queue_ms;
    runMs += hop.run_ms;
    if (hop.cost !== undefined) cost = (cost ?? 0) + hop.cost;
    if (hop.usage === undefined) continue;
    requests += hop.usage.requests;
    promptTokens += hop.usage.prompt_tokens;
    completionTokens += hop.usage.completion_tokens;
    if (hop.model !== undefined && simulatedModels.has(hop.model)) simulated = true;
  }
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
    simulated,
    row: task.row,
    history: task.history,
    usage: { requests, prompt_tokens: promptTokens, completion_tokens: completionTokens },
    cost,
    timing: {
      admitted_at: isoTime(task.admittedAt),
      ended_at: isoTime(endedAt),
      total_ms: roundMs(endedAt - task.admittedAt),
      queue_ms: roundMs(queueMs),
      run_ms: roundMs(runMs),
    },
    trace_id: task.trace === null ? null : (task.trace.split("-")[1] ?? null),
  };
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
