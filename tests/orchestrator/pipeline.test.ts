import { expect, test } from "bun:test";
import type { PatternConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import { walkPattern } from "./walk.ts";

const CONFIG: PatternConfig = {
  pattern: "pipeline",
  stages: [{ role: "filter", keep: "result.keep" }, { role: "ask" }],
};

test("a pipeline ends as filtered at the stage that drops the row, without a score", async () => {
  const { route, ending } = await walkPattern(CONFIG, {
    filter: () => ({ keep: false, why: "short", score: 1 }),
    ask: () => null,
  });
  expect(route).toEqual(["filter"]);
  expect(ending).toEqual({
    status: "ok",
    stopReason: "filtered",
    score: null,
    outcome: { filtered_by: "filter", keep: false, why: "short", score: 1 },
    error: null,
  });
});

test("a pipeline asks every stage about a row that is kept, and ends as completed", async () => {
  const { route, state, ending } = await walkPattern(CONFIG, {
    filter: () => ({ keep: true }),
    ask: () => ({ q: 1, score: 2 }),
  });
  expect(route).toEqual(["filter", "ask"]);
  expect(state).toBe(1);
  expect(ending).toMatchObject({
    stopReason: "completed",
    score: 2,
    outcome: { q: 1, score: 2 },
  });
});

test.each([["1"], ["'yes'"], ["null"]])(
  "a pipeline drops a row when keep = %s is anything but true",
  async (keep) => {
    const { ending } = await walkPattern(
      { pattern: "pipeline", stages: [{ role: "a", keep }] },
      { a: () => null },
    );
    expect(ending.stopReason).toBe("filtered");
  },
);

test("the last stage of a pipeline may drop the row too", async () => {
  const { route, ending } = await walkPattern(
    { pattern: "pipeline", stages: [{ role: "a" }, { role: "b", keep: "result > 1" }] },
    { a: () => 5, b: () => 1 },
  );
  expect(route).toEqual(["a", "b"]);
  expect(ending).toMatchObject({
    stopReason: "filtered",
    outcome: { filtered_by: "b", result: 1 },
  });
});

test("a pipeline is scored by its expression over row and results", async () => {
  const { ending } = await walkPattern(
    { pattern: "pipeline", stages: [{ role: "a" }, { role: "b" }], score: "results.a + row.n" },
    { a: () => 4, b: () => 1 },
  );
  expect(ending.score).toBe(7);
});

test("a pipeline fails a row whose condition cannot be evaluated, and names it", async () => {
  const { ending } = await walkPattern(CONFIG, {
    filter: () => ({ kept: true }),
    ask: () => null,
  });
  expect(ending).toMatchObject({
    status: "failed",
    stopReason: "error",
    score: null,
    error: { code: "orchestrator_failed", role: "filter", hop: 0 },
  });
  expect(ending.error?.message).toContain("result.keep");
});
