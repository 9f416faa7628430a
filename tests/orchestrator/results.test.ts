import { expect, test } from "bun:test";
import {
  compileOptional,
  outcomeOf,
  scoreOf,
  variablesOf,
} from "../../src/orchestrator/results.ts";
import type { Json } from "../../src/task/json.ts";
import { ADMITTED, hopOf } from "./walk.ts";

const CONTEXT = {
  ...{ row: ADMITTED.row, id: "7", trial: 2, seed: 11, role: "b" },
  history: [hopOf("a", 1, 0), hopOf("b", 2, 1), hopOf("a", 3, 2)],
};

test("expressions see row, result, each role's last result, and the pattern's variables", () => {
  expect(variablesOf(CONTEXT, 9)).toEqual({ row: { n: 3 }, result: 9, results: { a: 3, b: 2 } });
  expect(variablesOf(CONTEXT, 9, { turn: 4 })).toMatchObject({ result: 9, turn: 4 });
});

test.each<[score: string | undefined, outcome: { score?: Json } | null, value: number | null]>([
  [undefined, { score: 0.5 }, 0.5],
  [undefined, { score: 0 }, 0],
  [undefined, { score: true }, 1],
  [undefined, { score: false }, 0],
  [undefined, { score: "0.5" }, null],
  [undefined, {}, null],
  [undefined, null, null],
  ["result + 1", { score: 99 }, 10],
  ["result > 1", null, 1],
  ["result > 10", null, 0],
  ["'text'", { score: 99 }, null],
])("the score by %p of the outcome %j is %p", (score, outcome, value) => {
  const variables = () => variablesOf(CONTEXT, 9);
  expect(scoreOf(compileOptional(score), outcome, variables)).toBe(value);
});

test("variables are not computed without a score expression", () => {
  const variables = () => {
    throw new Error("computed");
  };
  expect(scoreOf(null, { score: 1 }, variables)).toBe(1);
});

test.each<[result: Json, outcome: Json]>([
  [{ x: 1 }, { x: 1 }],
  [3, { result: 3 }],
  [null, { result: null }],
  [[1], { result: [1] }],
  [{ role: "assistant", content: "hi" }, { result: { role: "assistant", content: "hi" } }],
  [{ role: "assistant", content: "{}", parsed: { x: 1 } }, { x: 1 }],
  [
    { role: "assistant", content: "[]", parsed: [1] },
    { result: { role: "assistant", content: "[]", parsed: [1] } },
  ],
  [{ parsed: { x: 1 } }, { parsed: { x: 1 } }],
])("the outcome of %j is %j", (result, outcome) => {
  expect(outcomeOf(result)).toEqual(outcome as never);
});
