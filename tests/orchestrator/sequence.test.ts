import { expect, test } from "bun:test";
import { Cut, walkPattern } from "./walk.ts";

test("a sequence asks its roles in order and ends with the last result", async () => {
  const { route, ending, state } = await walkPattern(
    { pattern: "sequence", roles: ["a", "b", "c"] },
    { a: () => 1, b: () => 2, c: () => ({ score: 0.5, x: 1 }) },
  );
  expect(route).toEqual(["a", "b", "c"]);
  expect(state).toBe(2);
  expect(ending).toEqual({
    status: "ok",
    stopReason: "completed",
    score: 0.5,
    outcome: { score: 0.5, x: 1 },
    error: null,
  });
});

test("a sequence of one role ends after it", async () => {
  const { route } = await walkPattern({ pattern: "sequence", roles: ["a"] }, { a: () => 1 });
  expect(route).toEqual(["a"]);
});

test("a sequence takes the parsed answer of a model as the outcome", async () => {
  const message = { role: "assistant", content: '{"x": 1}', parsed: { x: 1 } };
  const { ending } = await walkPattern({ pattern: "sequence", roles: ["a"] }, { a: () => message });
  expect(ending.outcome).toEqual({ x: 1 });
});

test("a sequence is scored by its expression over row and results", async () => {
  const { ending } = await walkPattern(
    { pattern: "sequence", roles: ["a", "b"], score: "results.a + row.n" },
    { a: () => 2, b: () => ({ score: 99 }) },
  );
  expect(ending).toMatchObject({ score: 5, outcome: { score: 99 } });
});

test("a sequence ends unscored at an answer that is not whole", async () => {
  const { route, ending } = await walkPattern(
    { pattern: "sequence", roles: ["a", "b"], score: "1" },
    { a: () => new Cut("refused"), b: () => null },
  );
  expect(route).toEqual(["a"]);
  expect(ending).toEqual({
    status: "ok",
    stopReason: "refused",
    score: null,
    outcome: { role: "a" },
    error: null,
  });
});
