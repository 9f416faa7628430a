// A record judged by itself: its shape, field by field, and contradictions between its fields.

import { expect, test } from "bun:test";
import { contradictionsIn, parseRecord } from "../../src/records/check-record.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { failedRecordOf, recordOf } from "./made.ts";

const parse = (more: object) => parseRecord(JSON.stringify({ ...recordOf("a"), ...more }));

test("a sound record is answered as it is, and has no contradictions", () => {
  for (const record of [
    recordOf("a"),
    failedRecordOf("b"),
    recordOf("c", {
      status: "lost",
      stop_reason: "lost",
      score: null,
      error: { code: "host_lost", message: "m", role: null, hop: null },
    }),
    recordOf("d", {
      stop_reason: "cut",
      score: null,
      trace_id: "f",
      outcome: { a: 1 },
    }),
  ]) {
    expect(parseRecord(JSON.stringify(record))).toEqual(record);
    expect(contradictionsIn(record)).toEqual([]);
  }
});

test.each([
  [0, 0.9e-9, 1.1e-9],
  [3, 3.9e-9, 4.1e-9],
])("with costs at %d hops, a cost may differ by %d and not by %d", (count, near, far) => {
  const { history } = recordOf("a");
  const hops = history.map(({ cost: _, ...hop }, index) =>
    index < count ? { ...hop, cost: 0.25 } : hop,
  );
  const found = (difference: number) =>
    contradictionsIn(recordOf("a", { history: hops, cost: count * 0.25 + difference })).length;
  expect([near, -near, far, -far].map(found)).toEqual([0, 0, 1, 1]);
});

test("a line that is not JSON, or JSON of another shape, is not a record", () => {
  expect(parseRecord("{")).toBe("the line is not JSON");
  expect(parseRecord("5")).toStartWith("the line is not a record: it: ");
});

const wrong: readonly (readonly [field: string, more: object])[] = [
  ["format", { format: "matrix-trajectory-2" }],
  ["id", { id: 5 }],
  ["trial", { trial: -1 }],
  ["trial", { trial: 0.5 }],
  ["seed", { seed: null }],
  ["attempt", { attempt: 0 }],
  ["status", { status: "fine" }],
  ["stop_reason", { stop_reason: "because" }],
  ["score", { score: "1" }],
  ["outcome", { outcome: 5 }],
  ["error", { error: "no" }],
  ["error.code", { error: { code: 1, message: "", role: null, hop: null } }],
  ["error.more", { error: { code: "", message: "", role: null, hop: null, more: 1 } }],
  ["simulated", { simulated: 1 }],
  ["row", { row: null }],
  ["history", { history: {} }],
  ["history.0.run_ms", { history: [{ ...recordOf("a").history[0], run_ms: -1 }] }],
  ["history.0.usage.requests", { history: [{ ...recordOf("a").history[0], usage: {} }] }],
  ["history.0.more", { history: [{ ...recordOf("a").history[0], more: 1 }] }],
  ["usage.requests", { usage: { requests: -1, prompt_tokens: 0, completion_tokens: 0 } }],
  ["cost", { cost: -1 }],
  ["timing.total_ms", { timing: { ...recordOf("a").timing, total_ms: -1 } }],
  ["trace_id", { trace_id: 5 }],
  ["extra", { extra: 1 }],
];
for (const [field, more] of wrong) {
  test(`a record with ${JSON.stringify(more).slice(0, 60)} is none, because of ${field}`, () => {
    expect(parse(more)).toStartWith(`the line is not a record: ${field}: `);
  });
}

const contradicting: readonly (readonly [more: Partial<TrajectoryRecord>, found: string[]])[] = [
  [{ error: { code: "x", message: "", role: null, hop: null } }, ["an ok record has an error"]],
  [{ status: "failed", score: null }, ["a failed record has no error"]],
  [{ status: "lost", score: null }, ["a lost record has no error"]],
  [
    { status: "failed", error: { code: "x", message: "", role: null, hop: null } },
    ["a failed record has a score"],
  ],
  [{ stop_reason: "refused", score: 0 }, ["a record without a whole answer (refused) has a score"]],
  [
    { history: recordOf("a").history.slice(1) },
    [
      "the hops are not numbered 0, 1, 2 …: one is missing or moved",
      "usage.requests is 3, but its hops add up to 2",
      "usage.prompt_tokens is 30, but its hops add up to 20",
      "usage.completion_tokens is 12, but its hops add up to 7",
      "cost is 0.5, but its hops add up to 0.3",
    ],
  ],
  [
    { usage: { requests: 3, prompt_tokens: 31, completion_tokens: 12 } },
    ["usage.prompt_tokens is 31, but its hops add up to 30"],
  ],
  [
    {
      usage: { requests: 3, prompt_tokens: 30, completion_tokens: 12, cached_tokens: 1 },
    },
    ["usage.cached_tokens is 1, but its hops add up to 0"],
  ],
  [{ cost: null }, ["cost is null, but its hops add up to 0.5"]],
  [{ cost: 0.5001 }, ["cost is 0.5001, but its hops add up to 0.5"]],
];
for (const [more, found] of contradicting) {
  test(`a record contradicts itself: ${found[0]}`, () => {
    expect(contradictionsIn(recordOf("a", more))).toEqual(found);
  });
}

test("a record may have 512 levels, and a deeper one is none", () => {
  const text = (levels: number) =>
    JSON.stringify(recordOf("a", { row: { x: "@" } })).replace(
      '"@"',
      `${"[".repeat(levels - 2)}${"]".repeat(levels - 2)}`,
    );
  expect(parseRecord(text(512))).toMatchObject({ id: "a" });
  for (const levels of [513, 100_000])
    expect(parseRecord(text(levels))).toBe(
      "the line is not a record: it is nested more than 512 levels deep",
    );
});
