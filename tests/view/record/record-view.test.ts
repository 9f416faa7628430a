// One record, as the page gets it.

import { expect, test } from "bun:test";
import { RecordView } from "../../../src/view/record/record-view.ts";
import { hopOf, recordOf } from "../../parts/record.ts";

const AT = "2026-11-24T00:00:00.000Z";
const USAGE = { requests: 1, prompt_tokens: 10, completion_tokens: 5, cached_tokens: 4 };

const viewOf = (more: Parameters<typeof recordOf>[0] = {}) =>
  new RecordView(JSON.stringify(recordOf(more)));

test("the head of a record is that of its line, and the outcome stands apart", () => {
  const view = viewOf({
    seed: 7,
    attempt: 2,
    status: "failed",
    stop_reason: "error",
    outcome: { turns: 3 },
    error: { code: "agent_failed", message: "no", role: "judge", hop: 1, stack: "at x" },
    simulated: true,
    usage: USAGE,
    cost: 0.25,
    timing: { admitted_at: AT, ended_at: AT, total_ms: 9, queue_ms: 1, run_ms: 8 },
    trace_id: "abc",
  });
  expect(view.head).toEqual({
    seed: 7,
    attempt: 2,
    status: "failed",
    stop_reason: "error",
    score: null,
    outcome: { value: { turns: 3 }, text: null, clips: [] },
    error: { code: "agent_failed", message: "no", role: "judge", hop: 1, stack: "at x" },
    simulated: true,
    usage: USAGE,
    cost: 0.25,
    timing: { admitted_at: AT, ended_at: AT, total_ms: 9, queue_ms: 1, run_ms: 8 },
    trace_id: "abc",
  });
});

test("a line of a hop has its times from the admission, and only the members that are set", () => {
  const missed = [{ problem: "no JSON", usage: USAGE, result: "x" }];
  const view = viewOf({
    history: [
      hopOf("student", { at: "2026-11-24T00:00:01.500Z", queue_ms: 2, run_ms: 3, result: "hello" }),
      hopOf("judge", {
        ...{ hop: 1, branch: 4, host: "w1", model: "m", usage: USAGE, cost: 0.5, tries: 2 },
        ...{ missed, error: "timeout", result: null },
      }),
    ],
  });
  expect(view.hops).toEqual([
    { hop: 0, role: "student", host: "h", queueMs: 2, runMs: 3, startMs: 1500, chars: 7 },
    {
      ...{ hop: 1, role: "judge", branch: 4, host: "w1", queueMs: 0, runMs: 0, startMs: 0 },
      ...{ model: "m", usage: USAGE, cost: 0.5, tries: 2, missed: 1, error: "timeout", chars: 4 },
    },
  ]);
});

test("without an admission, times count from the first hop that has one", () => {
  const line = JSON.stringify({
    history: [{ role: "a" }, { role: "a", at: AT }, { role: "b", at: "2026-11-24T00:00:02.000Z" }],
  });
  expect(new RecordView(line).hops.map(({ startMs }) => startMs)).toEqual([0, 0, 2000]);
});

test("bodies have what hops said, and answers that were not used", () => {
  const missed = [{ problem: "no JSON", usage: USAGE, cost: 0.1, result: { content: "x" } }];
  const view = viewOf({ history: [hopOf("a", { result: { content: "y" }, missed })] });
  expect(view.bodies(0, 10)).toEqual({
    from: 0,
    total: 1,
    hops: [
      {
        hop: 0,
        result: { value: { content: "y" }, text: null, clips: [] },
        missed: [
          {
            problem: "no JSON",
            usage: USAGE,
            cost: 0.1,
            result: { value: { content: "x" }, text: null, clips: [] },
          },
        ],
      },
    ],
  });
});

test("clips of a hop say where in the record they are", () => {
  const long = "x".repeat(100_000);
  const missed = [{ problem: "", usage: USAGE, result: long }];
  const [body] = viewOf({ history: [hopOf("a", { result: { content: long }, missed })] }).bodies(
    0,
    1,
  ).hops;
  expect(body?.result.clips[0]?.at).toBe("/history/0/result/content");
  expect(body?.missed[0]?.result.clips[0]?.at).toBe("/history/0/missed/0/result");
});

test("bodies come in parts: from where they are asked for, and no more than fit", () => {
  const history = Array.from({ length: 5 }, (_, hop) => hopOf("a", { hop, result: `r${hop}` }));
  const view = viewOf({ history });
  expect(view.bodies(1, 2).hops.map(({ hop }) => hop)).toEqual([1, 2]);
  expect(view.bodies(4, 2).hops.map(({ hop }) => hop)).toEqual([4]);
  expect(view.bodies(5, 2)).toEqual({ from: 5, hops: [], total: 5 });
  const large = "x".repeat(600_000);
  const heavy = viewOf({ history: history.map((hop) => ({ ...hop, result: large })) });
  expect(heavy.bodies(0, 5).hops.length).toBe(1);
  expect(heavy.bodies(3, 5).hops.map(({ hop }) => hop)).toEqual([3]);
});

test("an answer has at most 500 hops", () => {
  const history = Array.from({ length: 501 }, (_, hop) => hopOf("a", { hop }));
  expect(viewOf({ history }).bodies(0, 1000).hops.length).toBe(500);
});

test("32,000 hops are listed, and the last of them are read, within a second", () => {
  const history = Array.from({ length: 32_000 }, (_, hop) => hopOf("a", { hop, result: "said" }));
  const view = viewOf({ history });
  expect(view.hops.length).toBe(32_000);
  expect(view.bodies(31_999, 1).hops[0]?.result.value).toBe("said");
});

test("records of other programs are shown as far as they can be understood", () => {
  const view = new RecordView('{"status":"odd","timing":5,"error":"no","history":[1,{"role":2}]}');
  expect(view.head).toMatchObject({ status: "failed", attempt: 1, error: null, score: null });
  expect(view.hops.map(({ role, hop }) => [role, hop])).toEqual([
    ["?", 0],
    ["?", 1],
  ]);
  expect(view.bodies(0, 2).hops[0]?.result.value).toBe(1);
});

test("a line that is not JSON and deeply nested members are shown without an error", () => {
  const deep = "[".repeat(40_000) + "]".repeat(40_000);
  for (const line of ["", "null", "[]", '{"history":', `{"error":${deep},"history":[${deep}]}`]) {
    const view = new RecordView(line);
    expect(view.head.status).toBe("failed");
    expect(() => [view.hops, view.bodies(0, 1), view.input]).not.toThrow();
  }
});
