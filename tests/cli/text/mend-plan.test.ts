// A plan of a retry or a replay as text.

import { expect, test } from "bun:test";
import { renderMendPlan } from "../../../src/cli/text/mend-plan.ts";
import type { MendPlan } from "../../../src/run/replay/mend-plan.ts";

const NO_USAGE = { requests: 0, prompt_tokens: 0, completion_tokens: 0 };
const PLAN: MendPlan = {
  name: "talk",
  directory: "/runs/new",
  replay: "/runs/talk",
  tasks: 1000,
  retried: 0,
  counted: 1000,
  roles: [
    { name: "left", reused: 3000, asked: 0, ...NO_USAGE, cost: null },
    {
      ...{ name: "judge", reused: 0, asked: 1000, requests: 1001 },
      ...{ prompt_tokens: 64_000, completion_tokens: 2000, cost: 0.25 },
    },
  ],
  cost: 0.25,
  assumed: [],
  left_out: {},
  budget: null,
};
const linesOf = (more: Partial<MendPlan> = {}) => renderMendPlan({ ...PLAN, ...more }).split("\n");

test("a plan says for how many tasks it is, what it counted, and the steps of each role", () => {
  expect(linesOf()).toEqual([
    "talk: a plan for 1,000 tasks from the records of /runs/talk; nothing was asked",
    "counted on all of them, played by the recipe's own rule and code, with stand-ins for models that are asked",
    "",
    "role   reused  asked  requests  tokens in  tokens out    cost",
    "left    3,000      0         0          0           0       -",
    "judge       0  1,000     1,001     64,000       2,000  0.2500",
    "",
    "cost    0.2500",
  ]);
});

test("a plan of a retry says how many tasks run again, and that no record is reused", () => {
  const lines = linesOf({ replay: null, retried: 10, counted: 990, roles: [], cost: null });
  expect(lines).toEqual([
    "talk: a plan for 1,000 tasks, 10 of them again; nothing was asked",
    "counted on 990 tasks that ended well or were rehearsed; no answer is reused from a record",
    "",
    "no role asks a model, so nothing is paid",
    "",
    "cost    -",
  ]);
});

test("a plan names a part that was counted, models without a known length, and what it leaves out", () => {
  const lines = linesOf({ counted: 100, assumed: ["far"], left_out: { tool: 1200 } });
  expect(lines[1]).toStartWith("counted on 100 of them, played");
  expect(lines.slice(-2)).toEqual([
    "ASSUMED: how long answers of far are; state models.far.expect.output_tokens",
    "LEFT OUT: tool runs in a sandbox or was left out as code, and was not started; 1,200 tasks end there in this plan",
  ]);
});

test("a plan compares the budget with what was spent and what would be", () => {
  const spent = { requests: 1, prompt_tokens: 500, completion_tokens: 500, cost: 1 };
  const budgetOf = (budget: MendPlan["budget"]) => linesOf({ budget }).at(-1);
  expect(budgetOf({ money: 2, spent, over: null })).toBe("budget  1.2500 of 2 in money: enough");
  expect(budgetOf({ tokens: 60_000, spent, over: "x" })).toBe(
    "budget  67,000 of 60,000 tokens: NOT ENOUGH",
  );
  expect(budgetOf({ money: 2, tokens: 99_999, spent, over: null })).toBe(
    "budget  1.2500 of 2 in money, 67,000 of 99,999 tokens: enough",
  );
});
