// The rewards of a run by domain.

import { expect, test } from "bun:test";
import { RewardTally, renderRewards } from "../../../src/cli/text/rewards.ts";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { recordOf } from "../../parts/record.ts";

const linesOf = (records: readonly Partial<TrajectoryRecord>[], trials = 4) => {
  const tally = new RewardTally("coral", trials);
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

test("the table has pass^k for powers of two and for all trials, and a dash where one is missing", () => {
  const line = { tasks: 10, scored: 20, failed: 0, ended: { stopped: 1, error: 12 } };
  const ended = "error 12, stopped 1";
  const text = renderRewards("tau2", true, [
    { ...line, domain: "retail", mean: 0.5, error: 0.0257, pass: [0.5, 0.25, 0.2, 0.15, 0.1] },
    { ...line, domain: "mo\u001bck", mean: null, error: null, pass: [] },
  ]);
  expect(text.split("\n")).toEqual([
    "tau2 (simulated model)",
    "",
    "domain      tasks  scored  failed  reward      ±  pass^1  pass^2  pass^4  pass^5  ended",
    `retail         10      20       0   0.500  0.026   0.500   0.250   0.150   0.100  ${ended}`,
    `mo\\u001bck     10      20       0       -      -       -       -       -       -  ${ended}`,
    "",
    "±: standard error over tasks",
    "pass^k: chance that k trials of a task all succeed",
  ]);
  expect(renderRewards("tau2", false, []).split("\n")).toEqual([
    "tau2",
    "",
    "domain  tasks  scored  failed  reward  ±  ended",
    "",
    "±: standard error over tasks",
  ]);
});

test.each<[most: number, columns: readonly number[]]>([
  [1, [1]],
  [2, [1, 2]],
  [3, [1, 2, 3]],
  [4, [1, 2, 4]],
  [8, [1, 2, 4, 8]],
  [9, [1, 2, 4, 8, 9]],
])("a report of %p trials has the columns pass^k for k = %j", (most, columns) => {
  const line = { domain: "d", tasks: 1, scored: most, failed: 0, mean: 1, error: null, ended: {} };
  const [, , head = ""] = renderRewards("r", false, [
    { ...line, pass: new Array<number>(most).fill(1) },
  ]).split("\n");
  expect([...(head.match(/pass\^\d+/g) ?? [])]).toEqual(columns.map((k) => `pass^${k}`));
});

test("domains beyond 1,000 and reasons beyond 100 share one line and one count", () => {
  const records = Array.from({ length: 1002 }, (_, i) => ({
    id: String(i),
    row: { domain: `site-${i}` },
  }));
  const lines = linesOf([...records, { id: "again", row: { domain: "site-0" } }], 1);
  expect(lines).toHaveLength(1001);
  expect(lines.slice(-2).map(({ domain, tasks }) => [domain, tasks])).toEqual([
    ["site-999", 1],
    ["other domains", 2],
  ]);
  expect(lines[0]).toMatchObject({ domain: "site-0", tasks: 2 });
  const reasons = Array.from({ length: 103 }, (_, i) => ({
    id: String(i),
    outcome: { termination_reason: `reason ${i}` },
  }));
  const ended = linesOf(reasons, 1)[0]?.ended ?? {};
  expect(Object.keys(ended)).toHaveLength(101);
  expect(ended["other reasons"]).toBe(3);
  expect(ended["reason 99"]).toBe(1);
});
