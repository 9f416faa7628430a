// A run's records, and the part of it in which all tokens were in use.

import { createReadStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { quantile, sorted, sum } from "./report.ts";

export async function* readRecords(output: string): AsyncGenerator<TrajectoryRecord> {
  const lines = createInterface({ input: createReadStream(join(output, "trajectories.jsonl")) });
  for await (const line of lines) yield JSON.parse(line) as TrajectoryRecord;
}

/** When a task was in flight, in milliseconds since the epoch. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export function spanOf({ timing }: TrajectoryRecord): Span {
  const start = Date.parse(timing.admitted_at);
  return { start, end: start + timing.total_ms };
}

/** From the end of the first generation of tasks, which all begin at once, to the last admission, after which tokens lie idle. */
export function steadyPart(spans: readonly Span[], inFlight: number): Span {
  const ends = sorted(spans.map(({ end }) => end));
  return { start: ends[inFlight - 1] ?? 0, end: spans.reduce((last, { start }) => Math.max(last, start), 0) };
}

/** Time of a task, and the share of it that is neither agent nor queue. */
export async function readTimes(output: string): Promise<{ p50Ms: number; p99Ms: number; share: number }> {
  const totals: number[] = [];
  let ours = 0;
  for await (const { timing } of readRecords(output)) {
    totals.push(timing.total_ms);
    ours += timing.total_ms - timing.run_ms - timing.queue_ms;
  }
  const inOrder = sorted(totals);
  return { p50Ms: quantile(inOrder, 0.5), p99Ms: quantile(inOrder, 0.99), share: ours / sum(totals) };
}
