// CEL expressions: one kind of number, strict about keys, and errors that name the expression.

import { expect, test } from "bun:test";
import { compileExpression } from "../../src/recipe/expression.ts";
import { parseJson } from "../../src/task/exact.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";

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

test.each([
  ["row.id == 1234567890123456789", true],
  ["row.id == 1234567890123456788", false],
  ["row.id > 5 && row.id >= 5.5 && 5 < row.id", true],
  ["row.id in [1, 1234567890123456789]", true],
  ["row.id % 10", 9],
  ["row.id + 1", 1234567890123456790n],
  ["{'id': row.id}", { id: 1234567890123456789n }],
  ["9007199254740990 + 1", 9007199254740991],
  ["9007199254740991 + 1", 9007199254740992n],
  ["string(row.price)", "0.1000000000000000055"],
  ["double(row.price)", 0.1],
  ["row.price == 0.1", false],
  ["row.price == row.price && row.price != row.huge", true],
  ["row.price < 1 && row.price <= 0.1 && row.price < row.huge", true],
  ["1 > row.price && 0.1 >= row.price && row.huge > row.price", true],
  ["row.price > 1 || row.price >= 0.11 || row.huge < row.price || 0.09 >= row.price", false],
  ["row.price > row.price || row.price < 0.1 || 0.1 < row.price || 0.1 > row.price", false],
  ["row.price >= row.price && 0.1 <= row.price && 0 <= row.price", true],
  ["row.price + 1 == 1.1 && 1 - row.price == 0.9 && row.price * 10.0 == 1.0", true],
  ["row.price + row.price == 0.2 && row.price / 1 == 0.1 && 1 % row.price < 0.1", true],
])("numbers beyond a double are exact in an expression: %s", (source, value) => {
  const row = parseJson('{"id":1234567890123456789,"price":0.1000000000000000055,"huge":1e400}');
  expect(evaluate(source, { row: row as JsonObject })).toEqual(value as Json);
});
