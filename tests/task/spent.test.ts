import { expect, test } from "bun:test";
import {
  addSpent,
  addUsage,
  combineSpent,
  NOTHING_SPENT,
  NOTHING_SPENT_BY_HOSTS,
  roundMoney,
} from "../../src/task/spent.ts";

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

test("details of a usage are added, and a detail that is 0 is left out", () => {
  const first = { ...b, cached_tokens: 5, stated_cost: 0.1, estimated_requests: 1 };
  const second = { ...b, cached_tokens: 7, stated_cost: 0.2, cache_write_tokens: 0 };
  expect(addSpent(first, second)).toEqual({
    requests: 4,
    prompt_tokens: 40,
    completion_tokens: 400,
    cached_tokens: 12,
    estimated_requests: 1,
    stated_cost: 0.3,
    cost: 0.5,
  });
  expect(addUsage({ ...b, reasoning_tokens: 2, cache_write_tokens: 3 }, b)).toEqual({
    requests: 4,
    prompt_tokens: 40,
    completion_tokens: 400,
    reasoning_tokens: 2,
    cache_write_tokens: 3,
  });
});

test("a difference of usages keeps a detail that is below 0", () => {
  const less = { ...a, cached_tokens: 2, stated_cost: 0.3 };
  const more = { ...a, cached_tokens: 5, stated_cost: 0.1 };
  expect(combineSpent(less, more, (x, y) => x - y)).toEqual({
    ...NOTHING_SPENT,
    cached_tokens: -3,
    stated_cost: 0.2,
  });
});

test("money adds up to the same sum in any order", () => {
  const costs = Array.from({ length: 2000 }, (_, n) => roundMoney((n * 7919 + 1) * 1.3e-7));
  const sum = (list: readonly number[]) =>
    list.reduce((all, cost) => addSpent(all, { ...NOTHING_SPENT, cost }), NOTHING_SPENT).cost;
  const halves = addSpent(
    { ...NOTHING_SPENT, cost: sum(costs.slice(0, 700)) },
    { ...NOTHING_SPENT, cost: sum(costs.slice(700)) },
  ).cost;
  expect(sum([...costs].reverse())).toBe(sum(costs));
  expect(halves).toBe(sum(costs));
  expect(sum([0.1, 0.2])).toBe(0.3);
});

test("money is rounded to a ten-billionth", () => {
  expect(roundMoney(0.12345678905)).toBe(0.1234567891);
  expect(roundMoney(0.12345678904)).toBe(0.123456789);
  expect(roundMoney(899_999.9999999999)).toBe(899_999.9999999999);
});
