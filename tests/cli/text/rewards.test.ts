// The rewards of a run by domain.

import { expect, test } from "bun:test";
import { RewardTally, renderRewards } from "../../../src/cli/text/rewards.ts";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { recordOf } from "../../parts/record.ts";

const linesOf = (records: readonly Partial<TrajectoryRecord>[]) => {
  const tally = new RewardTally("coral");
  for (const record of records) tally.add(recordOf(record));
  return tally.lines;
};
/** Records with these scores, one task for each list. */
const scored = (...tasks: readonly (readonly (number | null)[])[]) =>
  tasks.flatMap((scores, id) => scores.map((score, trial) => ({ id: String(id), trial, score })));

test("a line counts tasks, scored trials and failures, and gives the mean of all scores", () => {
  const records = [
    ...scored([1, 0], [0.5]),
    { id: "2", status: "failed", stop_reason: "error" } as const,
    { id: "3", status: "lost", stop_reason: "lost" } as const,
    { id: "4", stop_reason: "refused" } as const,
  ];
  expect(linesOf(records)).toEqual([
    {
      domain: "coral",
      tasks: 5,
      scored: 3,
      failed: 2,
      mean: 0.5,
      error: 0,
      pass: [0.25],
      ended: { completed: 3, error: 1, lost: 1, refused: 1 },
    },
  ]);
});

test("the standard error is over tasks, and needs two that are scored", () => {
  expect(linesOf(scored([1, 1], [0, 1], [0, 0]))[0]?.error).toBeCloseTo(Math.sqrt(0.25 / 3), 12);
  expect(linesOf(scored([1, 0, 0]))[0]?.error).toBeNull();
  expect(linesOf(scored([1], [null]))[0]?.error).toBeNull();
});

test("pass^k is the chance that k trials succeed, for as many k as each task has trials", () => {
  // 3 of 4, and 1 of 2: C(3,k)/C(4,k) and C(1,k)/C(2,k).
  expect(linesOf(scored([1, 1, 0, 1], [0, 1]))[0]?.pass).toEqual([
    (3 / 4 + 1 / 2) / 2,
    (3 / 6 + 0) / 2,
  ]);
  expect(linesOf(scored([1, 1, 1]))[0]?.pass).toEqual([1, 1, 1]);
  expect(linesOf(scored([null]))[0]?.pass).toEqual([]);
});

test("a reward within a millionth of 1 is a success", () => {
  const pass = (reward: number) => linesOf(scored([reward]))[0]?.pass;
  expect(pass(1 - 0.9e-6)).toEqual([1]);
  expect(pass(1 + 0.9e-6)).toEqual([1]);
  expect(pass(1 - 1.1e-6)).toEqual([0]);
  expect(pass(1.5)).toEqual([0]);
});

test("the domain is the outcome's, else the row's, else the name of the run", () => {
  const lines = linesOf([
    { outcome: { domain: "retail" }, row: { domain: "airline" } },
    { row: { domain: "airline" } },
    { outcome: { domain: 7 } },
    { row: { domain: "airline" } },
  ]);
  expect(lines.map(({ domain, tasks }) => [domain, tasks])).toEqual([
    ["retail", 1],
    ["airline", 1],
    ["coral", 1],
  ]);
});

test("a task ended for its termination reason, else its error, else its stop reason", () => {
  const error = { code: "agent_failed", message: "no", role: null, hop: null } as const;
  const [line] = linesOf([
    { outcome: { termination_reason: "user_stop" }, error },
    { error },
    { outcome: { termination_reason: 1 }, stop_reason: "max_turns" },
  ]);
  expect(line?.ended).toEqual({ user_stop: 1, agent_failed: 1, max_turns: 1 });
});

test("the table has a column for each pass^k, and a dash where a value is missing", () => {
  const line = { tasks: 10, scored: 20, failed: 0, ended: { stopped: 1, error: 12 } };
  const text = renderRewards("tau2", true, [
    { ...line, domain: "retail", mean: 0.5, error: 0.0257, pass: [0.5, 0.25] },
    { ...line, domain: "mock", mean: null, error: null, pass: [] },
  ]);
  expect(text.split("\n")).toEqual([
    "tau2 (simulated model)",
    "",
    "domain  tasks  scored  failed  reward      ±  pass^1  pass^2  ended",
    "retail     10      20       0   0.500  0.026   0.500   0.250  error 12, stopped 1",
    "mock       10      20       0       -      -       -       -  error 12, stopped 1",
    "",
    "±: standard error over tasks",
  ]);
  expect(renderRewards("tau2", false, []).split("\n").slice(0, 3)).toEqual([
    "tau2",
    "",
    "domain  tasks  scored  failed  reward  ±  ended",
  ]);
});
