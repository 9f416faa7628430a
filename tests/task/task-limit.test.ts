// The limit of one task: when it is reached, what it says, and how branches share it.

import { expect, test } from "bun:test";
import { NOTHING_SPENT, type Spent } from "../../src/task/spent.ts";
import { limitReached, shareOf, spentBy } from "../../src/task/task-limit.ts";
import { hopOf, taskOf } from "../parts/task.ts";

const spent = (more: Partial<Spent>): Spent => ({ ...NOTHING_SPENT, ...more });

test("a limit is reached when as much was used as it allows, and not before", () => {
  const tokens = (prompt_tokens: number, completion_tokens: number) =>
    limitReached(spent({ prompt_tokens, completion_tokens }), { tokens: 1000 });
  expect(tokens(900, 99)).toBeNull();
  expect(tokens(900, 100)).toBe("1,000 of 1,000 tokens");
  expect(tokens(900, 101)).toBe("1,001 of 1,000 tokens");
  const cost = (amount: number) => limitReached(spent({ cost: amount }), { cost: 0.05 });
  expect(cost(0.0499)).toBeNull();
  expect(cost(0.05)).toBe("a cost of 0.05 of 0.05");
  const calls = (requests: number, failed_requests?: number) =>
    limitReached(
      spent({ requests, ...(failed_requests === undefined ? {} : { failed_requests }) }),
      {
        calls: 3,
      },
    );
  expect([calls(2), calls(5, 3)]).toEqual([null, null]);
  expect([calls(3), calls(5, 2)]).toEqual(["3 of 3 calls", "3 of 3 calls"]);
});

test("a task without a limit on something may use any amount of it", () => {
  const much = spent({ requests: 1e6, prompt_tokens: 1e9, cost: 1e4 });
  expect(limitReached(much, {})).toBeNull();
  expect(limitReached(much, { cost: 1e5 })).toBeNull();
  expect(limitReached(much, { cost: 1e5, tokens: 1 })).toBe("1,000,000,000 of 1 tokens");
});

test("a task has spent what its hops have", () => {
  const usage = { requests: 2, prompt_tokens: 10, completion_tokens: 5, failed_requests: 1 };
  const history = [hopOf("a", null, { usage, cost: 0.1 }), hopOf("b", null, { usage })];
  expect(spentBy(taskOf({ history }))).toEqual({
    requests: 4,
    prompt_tokens: 20,
    completion_tokens: 10,
    failed_requests: 2,
    cost: 0.1,
  });
  expect(spentBy(taskOf())).toEqual(NOTHING_SPENT);
});

test("branches share what is left in equal parts, and the first ones get what does not divide", () => {
  const before = spent({ requests: 2, prompt_tokens: 30, completion_tokens: 10, cost: 0.5 });
  const limit = { tokens: 50, calls: 9, cost: 0.8 };
  const shares = [0, 1, 2].map((index) => shareOf(limit, before, index, 3));
  expect(shares).toEqual([
    { tokens: 44, calls: 5, cost: 0.6 },
    { tokens: 43, calls: 4, cost: 0.6 },
    { tokens: 43, calls: 4, cost: 0.6 },
  ]);
  expect(shareOf({ calls: 9 }, before, 0, 1)).toEqual({
    tokens: undefined,
    cost: undefined,
    calls: 9,
  });
});

test("no share is left of a limit that was exceeded", () => {
  const before = spent({ requests: 12, prompt_tokens: 100, cost: 1 });
  const share = shareOf({ tokens: 50, calls: 9, cost: 0.8 }, before, 0, 2);
  expect(share).toEqual({ tokens: 100, calls: 12, cost: 1 });
  expect(limitReached(before, share)).toBe("12 of 12 calls");
});
