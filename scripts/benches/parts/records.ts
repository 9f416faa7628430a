// Reads the records of a run and finds the part of the run in which all tokens were in use.

import { createReadStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { quantile, sorted, sum } from "./report.ts";
import type { TaskTime } from "./shares.ts";

export async function* readRecords(output: string): AsyncGenerator<TrajectoryRecord> {
  const lines = createInterface({ input: createReadStream(join(output, "trajectories.jsonl")) });
  for await (const line of lines) yield JSON.parse(line) as TrajectoryRecord;
}

/** The time in which a task was in flight, in milliseconds since the epoch. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export function spanOf({ timing }: TrajectoryRecord): Span {
  const start = Date.parse(timing.admitted_at);
  return { start, end: start + timing.total_ms };
}

/**
 * The part from the end of the first generation of tasks, which all begin at once, to the last
 * admission, after which tokens are idle.
 */
export function steadyPart(spans: readonly Span[], inFlight: number): Span {
  const ends = sorted(spans.map(({ end }) => end));
  return {
    start: ends[inFlight - 1] ?? 0,
    end: spans.reduce((last, { start }) => Math.max(last, start), 0),
  };
}

/** Sums over all records. */
export async function readTimes(output: string): Promise<TaskTimes> {
  const tasks: TaskTime[] = [];
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  for await (const record of readRecords(output)) {
    const { start, end } = spanOf(record);
    first = Math.min(first, start);
    last = Math.max(last, end);
    tasks.push(timeOf(record));
  }
  const totals = sorted(tasks.map(({ totalMs }) => totalMs));
  const ours = sum(tasks.map(({ totalMs, runMs, queueMs }) => totalMs - runMs - queueMs));
  return {
    tasks,
    elapsedMs: last - first,
    p50Ms: quantile(totals, 0.5),
    p99Ms: quantile(totals, 0.99),
    ours: ours / sum(totals),
  };
}

export interface TaskTimes {
  readonly tasks: readonly TaskTime[];
  /** Time from the first admission to the last end. */
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The share of all tasks' time that is neither agent nor queue. */
  readonly ours: number;
}

export function timeOf({ timing }: TrajectoryRecord): TaskTime {
  return { totalMs: timing.total_ms, runMs: timing.run_ms, queueMs: timing.queue_ms };
}
