// CEL expressions: one kind of number, strict about keys, and errors that name the expression.

import { expect, test } from "bun:test";
import { compileExpression } from "../../../src/recipe/expression/expression.ts";
import { parseJson } from "../../../src/task/exact.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";

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

test("matches() is RE2: it takes time with the text alone, in a loop too", () => {
  const text = `${"a".repeat(100_000)}b`;
  expect(evaluate("row.t.matches('^(a+)+$')", { row: { t: text } })).toBe(false);
  expect(evaluate("row.t.matches('^(a+)+b$')", { row: { t: text } })).toBe(true);
  expect(evaluate("[row.t].all(t, t.matches('^(a|a)*$'))", { row: { t: text } })).toBe(false);
  expect(evaluate("'Abc'.matches('(?i)^abc$') ? 'yes' : 'no'")).toBe("yes");
});

test("a regular expression that is not valid fails in words that name it", () => {
  expect(() => evaluate("row.t.matches(row.p)", { row: { t: "a", p: "(?=a)" } })).toThrow(
    "the expression `row.t.matches(row.p)` fails: the regular expression (?=a) is not valid (RE2)",
  );
});

test("a wrong type of matches() and join() is told with the names that CEL has", () => {
  expect(() => evaluate("1.matches('a')")).toThrow("'int.matches(string)'");
  expect(() => evaluate("1.join()")).toThrow("'int.join()'");
  expect(() => evaluate("[1].join('-')")).toThrow("join() takes a list of texts");
});

test("join() puts texts together, with and without a separator", () => {
  const row = { parts: ["a", "b", "c"], none: [] };
  expect(evaluate("row.parts.join()", { row })).toBe("abc");
  expect(evaluate("row.parts.join(', ')", { row })).toBe("a, b, c");
  expect(evaluate("row.none.join(', ')", { row })).toBe("");
});

test("loops of an expression take a million turns at most, counted anew for each value", () => {
  const row = { items: Array.from({ length: 999 }, (_, index) => index) };
  const squared = compileExpression("row.items.all(a, row.items.all(b, b >= 0))");
  expect(squared({ row })).toBe(true);
  expect(squared({ row })).toBe(true);
  const more = { items: [...row.items, 999] };
  expect(() => squared({ row: more })).toThrow("its loops take more than 1000000 turns");
  expect(() =>
    evaluate("row.items.map(a, row.items.filter(b, row.items.exists(c, c < 0)))", { row }),
  ).toThrow("its loops take more than 1000000 turns");
});

test("an expression makes no text of more than 64 Mi characters", () => {
  const row = { t: "x".repeat(2 ** 20), many: Array.from({ length: 64 }, () => 0) };
  const doubled = `[row.t]${".map(a, a + a)".repeat(6)}`;
  expect((evaluate(doubled, { row }) as string[])[0]).toHaveLength(2 ** 26);
  const words = "it makes a text of more than 67108864 characters";
  expect(() => evaluate(`${doubled}.map(a, a + a)`, { row })).toThrow(words);
  expect(() => evaluate(`${doubled}[0] + 'x'`, { row })).toThrow(words);
  expect(evaluate("row.many.map(a, row.t).join()", { row })).toHaveLength(2 ** 26);
  expect(() => evaluate("row.many.map(a, row.t).join('-')", { row })).toThrow(words);
});

test("a duration is a short text", () => {
  const source = "[row.t].all(t, duration(t) < duration('2h'))";
  expect(evaluate(source, { row: { t: "1h30m" } })).toBe(true);
  expect(evaluate(source, { row: { t: `${"0".repeat(99)}m` } })).toBe(true);
  expect(() => evaluate(source, { row: { t: `${"0".repeat(100)}m` } })).toThrow(
    "duration() takes a text of at most 100 characters",
  );
});
