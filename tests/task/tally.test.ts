// Sums over the records of a run.

import { expect, test } from "bun:test";
import { RunningTally } from "../../src/task/tally.ts";
import { recordOf } from "../parts/record.ts";

test("a tally of no record is all zeros, without a cost", () => {
  expect({ ...new RunningTally() }).toEqual({
    counts: { ok: 0, failed: 0, lost: 0 },
    stopReasons: {},
    errors: {},
    hops: 0,
    usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
    cost: null,
    score: { count: 0, sum: 0 },
  });
});

test("a tally sums counts, hops, usage, cost and scores, and counts why tasks ended", () => {
  const tally = new RunningTally();
  const usage = (requests: number) => ({
    requests,
    prompt_tokens: 10 * requests,
    completion_tokens: 100 * requests,
  });
  const failed = (code: string, role: string | null) =>
    ({
      status: "failed",
      stop_reason: "error",
      error: { code, message: "no", role, hop: null },
    }) as const;
  tally.add(recordOf({ usage: usage(1), cost: 0.5, score: 1 }), 3);
  tally.add(recordOf({ usage: usage(2), cost: 0.25, score: 0, stop_reason: "agreed" }), 2);
  tally.add(recordOf({ usage: usage(3) }), 1);
  tally.add(recordOf(failed("agent_failed", "student")), 4);
  tally.add(recordOf(failed("agent_failed", "student")), 0);
  tally.add(recordOf(failed("agent_failed", null)), 0);
  tally.add(recordOf({ status: "lost", stop_reason: "lost" }), 0);
  expect({ ...tally }).toEqual({
    counts: { ok: 3, failed: 3, lost: 1 },
    stopReasons: { completed: 2, agreed: 1, error: 3, lost: 1 },
    errors: { "agent_failed in student": 2, agent_failed: 1 },
    hops: 10,
    usage: usage(6),
    cost: 0.75,
    score: { count: 2, sum: 1 },
  });
});

test("a cost of nothing is a cost", () => {
  const tally = new RunningTally();
  tally.add(recordOf({ cost: 0 }), 1);
  expect(tally.cost).toBe(0);
});
