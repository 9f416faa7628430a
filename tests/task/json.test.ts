import { expect, test } from "bun:test";
import { freezeJson, isJsonObject } from "../../src/task/json.ts";

test.each<[value: unknown, is: boolean]>([
  [{}, true],
  [{ a: 1 }, true],
  [null, false],
  [[], false],
  ["text", false],
  [1, false],
  [undefined, false],
])("isJsonObject(%j) is %p", (value, is) => {
  expect(isJsonObject(value)).toBe(is);
});

test("a frozen value is the same value, and frozen at every depth", () => {
  const value = { list: [{ deep: { deeper: [1] } }], none: null, text: "t" };
  expect(freezeJson(value)).toBe(value);
  const parts = [value, value.list, value.list[0], value.list[0]?.deep, value.list[0]?.deep.deeper];
  expect(parts.map(Object.isFrozen)).toEqual([true, true, true, true, true]);
});

test("a value that is frozen at its root is not looked into again", () => {
  const inner = { n: 1 };
  freezeJson(Object.freeze({ inner }));
  expect(Object.isFrozen(inner)).toBe(false);
});

test.each([null, undefined, 3, "text", true])("freezing %p gives it back", (value) => {
  expect(freezeJson(value)).toBe(value);
});
