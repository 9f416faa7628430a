// A run directory made by hand, sound by itself: records that add up, and the manifest that belongs
// to them.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Recorded } from "../../src/records/index/entry-table.ts";
import type { Manifest, RunIdentity } from "../../src/records/manifest.ts";
import { RecordWriter } from "../../src/records/record-writer.ts";
import { IdDigest } from "../../src/task/id-digest.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { deriveSeed } from "../../src/task/seed.ts";
import { modelsIn } from "../../src/task/totals.ts";

export const RUN_SEED = 7;

export function recordOf(id: string, more: Partial<TrajectoryRecord> = {}): TrajectoryRecord {
  const trial = more.trial ?? 0;
  const hop = { host: "h", at: "2026-01-01T00:00:00.000Z", queue_ms: 0, run_ms: 1 };
  return {
    format: "matrix-trajectory-1",
    id,
    trial,
    seed: deriveSeed(RUN_SEED, id, trial),
    attempt: 1,
    status: "ok",
    stop_reason: "completed",
    score: 1,
    outcome: null,
    error: null,
    simulated: false,
    usage: { requests: 3, prompt_tokens: 30, completion_tokens: 12 },
    cost: 0.5,
    timing: {
      admitted_at: "2026-01-01T00:00:00.000Z",
      ended_at: "2026-01-01T00:00:01.000Z",
      total_ms: 1000,
      queue_ms: 0,
      run_ms: 2,
    },
    trace_id: null,
    row: { q: id },
    history: [
      {
        hop: 0,
        role: "a",
        ...hop,
        model: "x",
        usage: { requests: 1, prompt_tokens: 10, completion_tokens: 5 },
        cost: 0.2,
        result: "A",
      },
      {
        hop: 1,
        role: "b",
        ...hop,
        model: "x",
        usage: { requests: 2, prompt_tokens: 20, completion_tokens: 7 },
        cost: 0.3,
        result: { content: "B" },
      },
      { hop: 2, role: "c", ...hop, result: null },
    ],
    ...more,
  };
}

export const failedRecordOf = (id: string, more: Partial<TrajectoryRecord> = {}) =>
  recordOf(id, {
    status: "failed",
    stop_reason: "error",
    score: null,
    error: { code: "agent_failed", message: "no", role: "a", hop: 3 },
    ...more,
  });

/** A record as the sink hands it over. */
export function recordedOf(record: TrajectoryRecord): Recorded {
  const { row: _, history, ...head } = record;
  return { head, hops: history.length, models: modelsIn(history) };
}

export function identityOf(more: Partial<RunIdentity> = {}): RunIdentity {
  return {
    name: "made",
    expected: 2,
    simulated: false,
    seed: RUN_SEED,
    trials: 1,
    dataset: { rows: 2, digest: "digest", ids_digest: "" },
    recipe: { name: "made", dataset: { path: "d.jsonl" }, run: {} },
    hashes: {},
    versions: { matrix: "0", runtime: "bun" },
    ...more,
  };
}

/** The manifest of a complete run with these records. */
export function manifestOf(
  records: readonly TrajectoryRecord[],
  more: Partial<Manifest> = {},
): Manifest {
  const ids = new IdDigest();
  const counts = { ok: 0, failed: 0, lost: 0 };
  for (const { id, trial, status } of records) {
    ids.add(id, trial);
    counts[status]++;
  }
  return {
    ...identityOf({
      expected: records.length,
      dataset: { rows: records.length, digest: "digest", ids_digest: ids.hex },
    }),
    format: "matrix-manifest-1",
    state: "complete",
    ...counts,
    spent: { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0, hosts: {} },
    created_at: "2026-01-01T00:00:00.000Z",
    updated_at: "2026-01-01T00:00:00.000Z",
    ...more,
  };
}

/** Writes the manifest and the records, one frame for each record when compressed. */
export async function writeRun(
  directory: string,
  records: readonly TrajectoryRecord[],
  more: Partial<Manifest> = {},
  file = "trajectories.jsonl",
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(
    join(directory, "manifest.json"),
    JSON.stringify(manifestOf(records, more), null, 2),
  );
  const writer = await RecordWriter.open(join(directory, file), 0);
  for (const record of records) await writer.append([[JSON.stringify(record)]]);
  await writer.close();
}
