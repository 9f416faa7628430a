// Records that a test writes by hand.

import type { TrajectoryRecord } from "../../src/task/record.ts";
import type { Hop } from "../../src/task/task.ts";

const AT = "2026-11-24T00:00:00.000Z";

/** A record of row a, trial 0, that ended well after no hop. */
export function recordOf(more: Partial<TrajectoryRecord> = {}): TrajectoryRecord {
  return {
    format: "matrix-trajectory-1",
    id: "a",
    trial: 0,
    seed: 1,
    attempt: 1,
    status: "ok",
    stop_reason: "completed",
    score: null,
    outcome: null,
    error: null,
    simulated: false,
    usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
    cost: null,
    timing: { admitted_at: AT, ended_at: AT, total_ms: 0, queue_ms: 0, run_ms: 0 },
    trace_id: null,
    row: {},
    history: [],
    ...more,
  };
}

export function hopOf(role: string, more: Partial<Hop> = {}): Hop {
  return { hop: 0, role, host: "h", at: AT, queue_ms: 0, run_ms: 0, result: null, ...more };
}
