// CEL expressions: one kind of number, strict about keys, and errors that name the expression.

import { expect, test } from "bun:test";
import { compileExpression } from "../../src/recipe/expression.ts";
import type { JsonObject } from "../../src/task/json.ts";

const evaluate = (source: string, variables: JsonObject = {}) =>
  compileExpression(source)(variables);

test("integers and fractions mix in every operation, on either side", () => {
  const row = { half: 0.5, three: 3 };
  expect(evaluate("row.half + 2", { row })).toBe(2.5);
  expect(evaluate("2 + row.half", { row })).toBe(2.5);
  expect(evaluate("row.half - 2", { row })).toBe(-1.5);
  expect(evaluate("2 - row.half", { row })).toBe(1.5);
  expect(evaluate("row.half * 3", { row })).toBe(1.5);
  expect(evaluate("3 * row.half", { row })).toBe(1.5);
  expect(evaluate("row.three / 2", { row })).toBe(1.5);
  expect(evaluate("3 / row.half", { row })).toBe(6);
  expect(evaluate("5 % row.three", { row })).toBe(2);
  expect(evaluate("row.three % 2 == 1", { row })).toBe(true);
  expect(evaluate("row.three > 1 && row.three * 2 + 1 == 7.0", { row })).toBe(true);
});

test("a whole number of CEL's own becomes a JSON number", () => {
  expect(evaluate("size(row.items) + row.n", { row: { items: [1, 2], n: 0.5 } })).toBe(2.5);
  expect(evaluate("1 + 2")).toBe(3);
  expect(evaluate("'a' + 'b'")).toBe("ab");
});

test("lists may hold values of several types", () => {
  expect(evaluate("row.x in [1, 'a']", { row: { x: "a" } })).toBe(true);
});

test("a missing key is an error that names the expression, and has() asks for the key", () => {
  expect(() => evaluate("row.lang == 'en'", { row: {} })).toThrow(
    "the expression `row.lang == 'en'` fails: No such key: lang",
  );
  expect(evaluate("has(row.lang) && row.lang == 'en'", { row: {} })).toBe(false);
});

test("a text that does not parse is refused in one line with recipe_invalid", () => {
  let thrown: unknown;
  try {
    compileExpression("row.lang ==");
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: "recipe_invalid" });
  expect((thrown as Error).message).toMatch(/^the expression does not parse: [^\n]+$/);
});

test("an expression that cannot be evaluated fails with orchestrator_failed", () => {
  let thrown: unknown;
  try {
    evaluate("row.lang", { row: {} });
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: "orchestrator_failed" });
});
