import { expect, test } from "bun:test";
import type { Hop } from "../../src/task/task.ts";
import { addHops, NO_TOTALS } from "../../src/task/totals.ts";

const HOP: Hop = { hop: 0, role: "a", host: "h", at: "", queue_ms: 1, run_ms: 10, result: null };
const USAGE = { requests: 1, prompt_tokens: 10, completion_tokens: 100 };

test("hops are added to the sums before them", () => {
  const first = addHops(NO_TOTALS, [{ ...HOP, model: "m", usage: USAGE, cost: 0.5 }]);
  expect(first).toEqual({
    hops: 1,
    queueMs: 1,
    runMs: 10,
    usage: USAGE,
    cost: 0.5,
    models: ["m"],
  });
  const more = [HOP, { ...HOP, model: "n", cost: 0.25 }, { ...HOP, model: "m", usage: USAGE }];
  expect(addHops(first, more)).toEqual({
    hops: 4,
    queueMs: 4,
    runMs: 40,
    usage: { requests: 2, prompt_tokens: 20, completion_tokens: 200 },
    cost: 0.75,
    models: ["m", "n"],
  });
  expect(first.models).toEqual(["m"]);
});

test("no hops add nothing", () => {
  expect(addHops(NO_TOTALS, [])).toEqual(NO_TOTALS);
  expect(NO_TOTALS.cost).toBeNull();
});
