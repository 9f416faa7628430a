// A forecast as text.

import { expect, test } from "bun:test";
import { renderForecast } from "../../../src/cli/text/forecast.ts";
import { type RunForecast, SELF } from "../../../src/run/forecast/forecast-run.ts";

const range = (expected: number, low = expected, high = expected) => ({ expected, low, high });
const forecast: RunForecast = {
  name: "coral",
  simulated: false,
  tasks: 1200,
  recorded: 0,
  requests: range(1000),
  prompt_tokens: range(20_000, 19_000, 21_000),
  completion_tokens: range(3000),
  tokens: range(23_000),
  cost: range(1.5, 1.25, 1.75),
  time_ms: range(61_000, 60_000, 3_600_000),
  bound_by: "run.concurrency = 10",
  roles: [
    { name: "student", requests: 1000, prompt_tokens: 20_000, completion_tokens: 3000, cost: 1.5 },
    { name: "judge", requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: null },
  ],
  source: {
    kind: "records",
    directory: "/runs/coral",
    samples: 40,
    models: {},
    assumes_length: false,
    left_out: {},
  },
  budget: null,
  first_prompts: {},
};
const linesOf = (more: Partial<RunForecast>) =>
  renderForecast({ ...forecast, ...more }).split("\n");
const spent = { requests: 0, prompt_tokens: 100, completion_tokens: 400, cost: 0.25, hosts: {} };

test("a forecast prints its basis, the use of each role, and totals with their ranges", () => {
  expect(linesOf({})).toEqual([
    "coral: a forecast for 1,200 tasks; nothing was asked",
    "",
    "from 40 records of /runs/coral, at the prices of this recipe",
    "",
    "role     requests  tokens in  tokens out    cost",
    "student     1,000     20,000       3,000  1.5000",
    "judge           0          0           0       -",
    "",
    "requests    1,000",
    "tokens in   20,000 (19,000 to 21,000, nine times of ten)",
    "tokens out  3,000",
    "cost        1.5000 (1.2500 to 1.7500, nine times of ten)",
    "time        1 min 1 s (1 min 0 s to 1 h 0 min, nine times of ten)",
    "bound by    run.concurrency = 10",
  ]);
});

test("cost and roles are left out where there are none, and recorded tasks are counted", () => {
  const lines = linesOf({ cost: null, roles: [], recorded: 1000, simulated: true });
  expect(lines[0]).toBe(
    "coral: a forecast for 1,200 tasks, 1,000 are recorded (simulated model); nothing was asked",
  );
  expect(linesOf({ recorded: 1 })[0]).toContain(", 1 are recorded; ");
  expect(lines.slice(3, 5)).toEqual(["", "requests    1,000"]);
  expect(lines.filter((line) => line.startsWith("cost"))).toEqual([]);
});

test("first prompts come first, each with its role", () => {
  const prompt = [{ role: "user", content: "Why?" }] as const;
  expect(linesOf({ first_prompts: { student: prompt, judge: null } }).slice(0, 4)).toEqual([
    "first prompt of student, for the first row",
    "  | user: Why?",
    "",
    "coral: a forecast for 1,200 tasks; nothing was asked",
  ]);
});

const rehearsal = (more: Partial<RunForecast["source"]>) => ({
  source: { ...forecast.source, kind: "rehearsal" as const, directory: null, ...more },
});

test("a rehearsal names the stand-in of each model, and what is guessed about served ones", () => {
  const guess =
    "  a token is taken to be four characters; the text of answers is drawn, so routes that depend on it are guesses (better: --like DIR)";
  const first =
    "from 40 tasks that were rehearsed by the recipe's own rule and code, with stand-ins for its models";
  expect(linesOf(rehearsal({ models: { m: SELF } })).slice(2, 5)).toEqual([
    first,
    "  m answers: itself, by seed",
    "",
  ]);
  expect(linesOf(rehearsal({ models: { m: SELF, n: "as it is" } })).slice(2, 7)).toEqual([
    first,
    "  m answers: itself, by seed",
    "  n answers: as it is",
    guess,
    "",
  ]);
});

test("roles that were not started are named above and below the figures", () => {
  const lines = linesOf(rehearsal({ left_out: { tools: 1234, reward: 1 } }));
  expect(lines.slice(3, 5)).toEqual([
    "  LEFT OUT: tools runs in a sandbox or was left out as code, and was not started; 1,234 tasks end there in this forecast (better: --like DIR)",
    "  LEFT OUT: reward runs in a sandbox or was left out as code, and was not started; 1 tasks end there in this forecast (better: --like DIR)",
  ]);
  expect(lines.at(-1)).toBe(
    "without     tools, reward and what comes after: THESE FIGURES LEAVE IT OUT",
  );
});

test("a budget is compared with what was spent and what is expected, and judged", () => {
  const line = (budget: object, more: Partial<RunForecast> = {}) =>
    linesOf({ ...more, budget: { spent, over: null, ...budget } }).find((one) =>
      one.startsWith("budget"),
    );
  expect(line({ money: 2 })).toBe("budget      1.7500 of 2 in money: enough");
  expect(line({ tokens: 30_000 })).toBe("budget      23,500 of 30,000 tokens: enough");
  expect(line({ money: 2, tokens: 100, over: "tokens" })).toBe(
    "budget      1.7500 of 2 in money, 23,500 of 100 tokens: NOT ENOUGH",
  );
  expect(line({ money: 2 }, { cost: null })).toBe("budget      0.2500 of 2 in money: enough");
  expect(line({ money: 2 }, rehearsal({ assumes_length: true, left_out: { a: 1 } }))).toEndWith(
    ": UNKNOWN (output_tokens assumed: set expect)",
  );
  expect(line({ money: 2 }, rehearsal({ left_out: { a: 1 } }))).toEndWith(
    ": UNKNOWN, for what is left out",
  );
});
