// The records of a run directory, and what two equal runs have in common.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TrajectoryRecord } from "../../src/task/record.ts";

export async function readRecords(directory: string): Promise<TrajectoryRecord[]> {
  const text = await readFile(join(directory, "trajectories.jsonl"), "utf8");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as TrajectoryRecord);
}

/** Records by id and trial, without what differs between two equal runs: times, hosts, traces. */
export function comparable(records: readonly TrajectoryRecord[]): unknown[] {
  return records
    .map(({ timing: _timing, trace_id: _trace, history, ...rest }) => ({
      ...rest,
      history: history.map(
        ({ at: _at, queue_ms: _queue, run_ms: _run, host: _host, ...hop }) => hop,
      ),
    }))
    .sort((a, b) => a.id.localeCompare(b.id) || a.trial - b.trial);
}

/** The same for a run that was killed and went on: a row that began again has a later attempt. */
export function comparableAfterKill(records: readonly TrajectoryRecord[]): unknown[] {
  return comparable(records.map((record) => ({ ...record, attempt: 1 })));
}
