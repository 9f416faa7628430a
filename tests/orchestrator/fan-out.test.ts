import { expect, test } from "bun:test";
import type { PatternConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
import { Cut, walkPattern } from "./walk.ts";

const CONFIG: PatternConfig = { pattern: "fan-out", roles: ["a", "b"], after: [] };

test("a fan-out asks all roles and ends with each one's answer under its name", async () => {
  const { route, ending, task } = await walkPattern(
    { pattern: "fan-out", roles: ["a", "b", "c", "d"], after: [] },
    {
      a: () => 1,
      b: () => ({ x: 1 }),
      c: () => ({ result: { deep: 1 } }),
      d: () => ({ result: 1, more: 2 }),
    },
  );
  expect(route).toEqual(["a", "b", "c", "d"]);
  expect(ending).toEqual({
    status: "ok",
    stopReason: "completed",
    score: null,
    outcome: { a: 1, b: { x: 1 }, c: { result: { deep: 1 } }, d: { result: 1, more: 2 } },
    error: null,
  });
  expect(task.history.map(({ role, branch, hop }) => [role, branch, hop])).toEqual([
    ["a", 0, 0],
    ["b", 1, 1],
    ["c", 2, 2],
    ["d", 3, 3],
  ]);
});

test("a fan-out asks the roles after it in order and ends with the last result", async () => {
  const { route, ending } = await walkPattern(
    { ...CONFIG, after: ["sum", "judge"], score: "results.a + results.sum + result.x" },
    { a: () => 1, b: () => 2, sum: () => 3, judge: () => ({ x: 10 }) },
  );
  expect(route).toEqual(["a", "b", "sum", "judge"]);
  expect(ending).toMatchObject({ score: 14, outcome: { x: 10 } });
});

test("the score of a fan-out without roles after it reads the answers by name", async () => {
  const { ending } = await walkPattern(
    { ...CONFIG, score: "result.a * 10 + row.n" },
    { a: () => 1, b: () => 2 },
  );
  expect(ending.score).toBe(13);
});

test("a fan-out ends unscored at the first answer that is not whole", async () => {
  const { route, ending } = await walkPattern(
    { ...CONFIG, after: ["sum"] },
    { a: () => new Cut("content_filtered"), b: () => 2, sum: () => 3 },
  );
  expect(route).toEqual(["a"]);
  expect(ending).toMatchObject({
    status: "ok",
    stopReason: "content_filtered",
    score: null,
    outcome: { role: "a" },
  });
});
