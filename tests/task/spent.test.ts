import { expect, test } from "bun:test";
import { addSpent, addUsage, NOTHING_SPENT, NOTHING_SPENT_BY_HOSTS } from "../../src/task/spent.ts";

const a = { requests: 1, prompt_tokens: 10, completion_tokens: 100, cost: 0.5 };
const b = { requests: 2, prompt_tokens: 20, completion_tokens: 200, cost: 0.25 };

test("a sum of spending adds requests, both kinds of tokens, and cost", () => {
  expect(addSpent(a, b)).toEqual({
    requests: 3,
    prompt_tokens: 30,
    completion_tokens: 300,
    cost: 0.75,
  });
});

test("a sum of usage has no cost", () => {
  expect(addUsage(a, b)).toEqual({ requests: 3, prompt_tokens: 30, completion_tokens: 300 });
});

test("nothing spent adds nothing", () => {
  expect(addSpent(a, NOTHING_SPENT)).toEqual(a);
  expect(NOTHING_SPENT_BY_HOSTS).toEqual({ ...NOTHING_SPENT, hosts: {} });
});
