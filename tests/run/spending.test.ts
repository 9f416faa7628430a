// The spending of one process on models.

import { expect, test } from "bun:test";
import { Spending } from "../../src/run/spending.ts";

test("spending adds up answers with their cost, and tells the sum after each", () => {
  const told: number[] = [];
  const spending = new Spending(({ cost }) => void told.push(cost));
  expect(spending.total).toEqual({ requests: 0, prompt_tokens: 0, completion_tokens: 0, cost: 0 });
  const { add } = spending;
  add({ requests: 1, prompt_tokens: 20, completion_tokens: 3 }, 0.5);
  add({ requests: 2, prompt_tokens: 1, completion_tokens: 1 }, 0.25);
  expect(spending.total).toEqual({
    ...{ requests: 3, prompt_tokens: 21, completion_tokens: 4, cost: 0.75 },
  });
  expect(told).toEqual([0.5, 0.75]);
});

test("spending needs no listener", () => {
  const spending = new Spending();
  spending.add({ requests: 1, prompt_tokens: 0, completion_tokens: 0 }, 0);
  expect(spending.total.requests).toBe(1);
});
