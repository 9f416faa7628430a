import { expect, test } from "bun:test";
import { encodeJson, RawJson } from "../../../src/export/files/raw-json.ts";
import { ExactNumber } from "../../../src/task/exact.ts";

const VALUES = [
  null,
  true,
  0,
  -1.5,
  'ä\n"',
  [],
  {},
  [1, [null], { a: [] }],
  1234567890123456789n,
  { x: [new ExactNumber("1e400")] },
  { 'a"b': { c: null }, d: "e" },
];

test("values are written as JSON.stringify writes them", () => {
  expect(VALUES.map(encodeJson)).toEqual(VALUES.map((value) => JSON.stringify(value)));
});

test("a part that is JSON text already keeps its numbers as they are written", () => {
  const raw = new RawJson('{"a": 1.0, "b": 1000000000000000000000000000000}');
  expect(encodeJson(raw)).toBe(raw.text);
  expect(encodeJson({ x: [raw, 1], y: raw })).toBe(`{"x":[${raw.text},1],"y":${raw.text}}`);
});

test("undefined is left out of an object and is null in a list", () => {
  expect(encodeJson({ a: undefined, b: 1 })).toBe('{"b":1}');
  expect(encodeJson([undefined])).toBe("[null]");
  expect(encodeJson(undefined)).toBe("null");
});
