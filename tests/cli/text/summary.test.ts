// The summary of a run as text.

import { expect, test } from "bun:test";
import { renderSummary } from "../../../src/cli/text/summary.ts";
import type { Summary } from "../../../src/run/summary.ts";

const NOTHING_SPENT = { requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0 };
const summary: Summary = {
  name: "coral",
  directory: "/runs/coral",
  state: "complete",
  stopped: null,
  simulated: true,
  replayed: false,
  asked: null,
  expected: 40,
  ok: 37,
  failed: 2,
  lost: 1,
  recorded_before: 10,
  retried: null,
  abandoned: 0,
  elapsed_ms: 3200,
  hops: 300,
  usage: { requests: 1100, prompt_tokens: 2000, completion_tokens: 500 },
  cost: 0.0125,
  spent: { requests: 130, prompt_tokens: 2600, completion_tokens: 700, cost: 0.0163 },
  budget: null,
  stop_reasons: { error: 2, agreed: 28 },
  errors: { "model_timeout in student": 1, "agent_failed in judge": 1234 },
  all_errors: { host_lost: 1, agent_failed: 2 },
  score: { scored: 28, mean: 0.5 },
  wire_bytes: null,
  credentials: { looked: 30, records: 0, rules: {} },
  error: null,
};
const linesOf = (more: Partial<Summary>) => renderSummary({ ...summary, ...more }).split("\n");

test("a summary gives the accounting, why tasks ended, what was used, scores and the file", () => {
  expect(linesOf({})).toEqual([
    "coral: complete after 3.2 s (simulated model), 30 records, 10 from before",
    "expected 40 = ok 37 + failed 2 + lost 1",
    "ended: agreed 28, error 2",
    "errors: agent_failed in judge 1,234, model_timeout in student 1",
    "a failed task: matrix show /runs/coral --status failed",
    "model: 1,100 requests, 2,000 tokens in, 500 out, cost 0.0125",
    "score: mean 0.500 over 28",
    "run failed and lost tasks again: the same command with --retry failed,lost (or one kind: --retry agent_failed)",
    "records: /runs/coral/trajectories.jsonl",
  ]);
});

test("a summary tells of content that looks like credentials, and how much was looked at", () => {
  const told = (looked: number, records: number, rules: Record<string, number>) =>
    linesOf({ credentials: { looked, records, rules } }).find((line) =>
      line.includes("credential"),
    );
  expect(told(30, 0, {})).toBeUndefined();
  expect(told(30, 1, { jwt: 1 })).toBe(
    "1 record holds what looks like a credential: jwt 1; matrix report /runs/coral looks at all records",
  );
  expect(told(29, 1200, { jwt: 5, "private-key": 1199 })).toBe(
    "1,200 records hold what looks like a credential: private-key 1,199, jwt 5 (of 29 looked at); matrix report /runs/coral looks at all records",
  );
});

test("a summary leaves out errors, tokens, cost and score where there are none", () => {
  const plain = {
    simulated: false,
    recorded_before: 0,
    failed: 0,
    lost: 0,
    errors: {},
    cost: null,
    score: null,
  };
  expect(linesOf(plain)).toEqual([
    "coral: complete after 3.2 s, 37 records",
    "expected 40 = ok 37 + failed 0 + lost 0",
    "ended: agreed 28, error 2",
    "model: 1,100 requests, 2,000 tokens in, 500 out",
    "records: /runs/coral/trajectories.jsonl",
  ]);
  const usage = { requests: 0, prompt_tokens: 0, completion_tokens: 0 };
  expect(linesOf({ ...plain, usage }).filter((line) => line.startsWith("model"))).toEqual([]);
});

test("a summary says what was cached, thought, stated and estimated", () => {
  const usage = {
    ...summary.usage,
    ...{ cached_tokens: 1990, reasoning_tokens: 1500 },
    ...{ stated_cost: 0.01, estimated_requests: 1000 },
  };
  const from = linesOf({}).findIndex((line) => line.startsWith("model: "));
  expect(linesOf({ usage }).slice(from, from + 3)).toEqual([
    "model: 1,100 requests, 2,000 tokens in (1,990 cached), 500 out (1,500 reasoning), cost 0.0125",
    "of the cost, 0.0100 was stated by the endpoint",
    "the tokens of 1,000 requests are estimates",
  ]);
});

test("a stopped run counts what is recorded and says that the same command goes on", () => {
  expect(linesOf({ state: "stopped", expected: 4000 })).toEqual([
    "coral: stopped after 3.2 s (simulated model), 30 records, 10 from before",
    "40 of 4,000 recorded: ok 37 + failed 2 + lost 1",
    ...linesOf({ failed: 0, lost: 0 })
      .slice(2)
      .toSpliced(2, 0, "a failed task: matrix show /runs/coral --status failed"),
    "the same command goes on where it stands",
  ]);
});

test("a replay says that no model was asked, and that the tokens were recorded then", () => {
  const lines = linesOf({ replayed: true, asked: NOTHING_SPENT });
  expect(lines[0]).toContain("(simulated model, replayed)");
  expect(lines).toContain(
    "no model was asked; recorded then: 1,100 requests, 2,000 tokens in, 500 out, cost 0.0125",
  );
});

test("a run that was complete before it began says how many tasks failed, why, and how they run again", () => {
  expect(linesOf({ recorded_before: 40 })).toEqual([
    "coral: was complete already (simulated model), but 2 failed and 1 lost: agent_failed 2, host_lost 1",
    "expected 40 = ok 37 + failed 2 + lost 1",
    "run failed and lost tasks again: the same command with --retry failed,lost (or one kind: --retry agent_failed)",
    "records: /runs/coral/trajectories.jsonl",
  ]);
});

test("a run without rows is complete with no records", () => {
  const none = { expected: 0, ok: 0, failed: 0, lost: 0, recorded_before: 0 };
  expect(linesOf(none).slice(0, 2)).toEqual([
    "coral: complete after 3.2 s (simulated model), 0 records",
    "expected 0 = ok 0 + failed 0 + lost 0",
  ]);
});

test.each([
  ["context_length", "shorten what is asked, or use a model that takes more"],
  ["refused", 'ask otherwise, or let roles accept it (accepts = ["refused"])'],
  ["content_filtered", 'ask otherwise, or let roles accept it (accepts = ["content_filtered"])'],
  ["cut", 'raise max_tokens, or let roles accept it (accepts = ["cut"])'],
])(
  "when no task has a whole answer, mostly because of %s, the summary says what helps",
  (reason, help) => {
    const other = reason === "cut" ? "refused" : "cut";
    expect(linesOf({ stop_reasons: { [other]: 1, [reason]: 29 } })).toContain(
      `no task has a whole answer: ${help}`,
    );
  },
);

test("no advice is given when one task has a whole answer, or when the run was stopped", () => {
  const advice = (more: Partial<Summary>) =>
    linesOf(more).filter((line) => line.includes("whole answer"));
  expect(advice({ stop_reasons: { cut: 29, agreed: 1 } })).toEqual([]);
  expect(advice({ stop_reasons: { agreed: 29, cut: 1 } })).toEqual([]);
  expect(advice({ stop_reasons: {} })).toEqual([]);
  expect(advice({ stop_reasons: { cut: 1 }, state: "stopped" })).toEqual([]);
});

test("a budget that is used up is named, and how to go on when the run was stopped", () => {
  expect(linesOf({ budget: { money: 0.01 } }).at(-1)).toBe(
    "over run.budget: 0.0163 of 0.01 in money",
  );
  expect(linesOf({ budget: { tokens: 3300 }, state: "stopped" }).at(-1)).toBe(
    "run.budget is used up: 3,300 of 3,300 tokens; the same command with a higher budget goes on where it stands",
  );
  expect(linesOf({ budget: { tokens: 3301 }, state: "stopped" }).at(-1)).toBe(
    "the same command goes on where it stands",
  );
  expect(linesOf({ budget: { money: 1 } }).at(-1)).toStartWith("records: ");
});

test("a complete run without a failed or lost task names no way to run one again", () => {
  const lines = linesOf({ recorded_before: 40, ok: 40, failed: 0, lost: 0, all_errors: {} });
  expect(lines).toEqual([
    "coral: was complete already (simulated model)",
    "expected 40 = ok 40 + failed 0 + lost 0",
    "records: /runs/coral/trajectories.jsonl",
  ]);
});

test("a summary names the one kind of task that can run again, and codes only where there are two", () => {
  const hintOf = (more: Partial<Summary>) =>
    linesOf(more).filter((line) => line.startsWith("run "));
  expect(hintOf({ lost: 0, all_errors: { agent_failed: 2 } })).toEqual([
    "run failed tasks again: the same command with --retry failed",
  ]);
  expect(hintOf({ failed: 0, all_errors: { host_lost: 1 } })).toEqual([
    "run lost tasks again: the same command with --retry lost",
  ]);
});

test("a retry says how many records it replaced, and when there was none of that kind", () => {
  expect(linesOf({ retried: 3 })[2]).toBe(
    "run again: 3; their old records are in superseded.jsonl",
  );
  expect(linesOf({ retried: 0 })[2]).toBe("--retry: no record is of that kind");
});

test("a replay that asked models tells what was asked from what was recorded then", () => {
  const asked = { requests: 100, prompt_tokens: 500, completion_tokens: 200, cost: 0.0025 };
  const lines = linesOf({ replayed: true, asked });
  expect(lines).toContain("asked: 100 requests, 500 tokens in, 200 out, cost 0.0025");
  expect(lines).toContain("recorded then: 1,000 requests, 1,500 tokens in, 300 out, cost 0.0100");
  const unpriced = linesOf({ replayed: true, asked: { ...asked, cost: 0 }, cost: null });
  expect(unpriced).toContain("asked: 100 requests, 500 tokens in, 200 out");
  expect(unpriced).toContain("recorded then: 1,000 requests, 1,500 tokens in, 300 out");
});

test("a run that stopped before its first record has nothing to count", () => {
  const none = { ok: 0, failed: 0, lost: 0, recorded_before: 0, all_errors: {} };
  expect(linesOf({ ...none, state: "stopped" })).toEqual([
    "coral: stopped after 3.2 s (simulated model), 0 records",
    "0 of 40 recorded: ok 0 + failed 0 + lost 0",
    "records: /runs/coral/trajectories.jsonl",
    "the same command goes on where it stands",
  ]);
});
