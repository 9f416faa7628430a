import { expect, test } from "bun:test";
import { cutDepth, isTooDeep } from "../../src/task/depth.ts";
import { appendHop, type EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import {
  ExactNumber,
  exactNumber,
  markedJson,
  parseJson,
  parseMarked,
  withoutMarks,
} from "../../src/task/exact.ts";
import { isJsonObject, type JsonObject } from "../../src/task/json.ts";
import { createHead, encodeRecord } from "../../src/task/record.ts";
import type { Ending } from "../../src/task/task.ts";
import { hopOf, taskOf } from "../parts/task.ts";

test.each([
  "9007199254740992",
  "9007199254740993",
  "-9007199254740992",
  "1234567890123456789",
  "18446744073709551615",
  "100000000000000000000000",
  "1".repeat(1000),
])("a whole number that is not safe in a double, %p, becomes a BigInt", (token) => {
  expect(parseJson(`[${token}]`)).toEqual([BigInt(token)]);
  expect(exactNumber(token)).toBe(BigInt(token));
});

test.each([
  "0.1000000000000000055",
  "12345678901234567890.0",
  "1e400",
  "-1E+400",
  "1e-400",
  "1.00000000000000000001e5",
  `1e${"9".repeat(40)}`,
  "1".repeat(1001),
])("a number that no double prints, %p, keeps its text and has the nearest value", (token) => {
  const number = exactNumber(token);
  expect(number).toBeInstanceOf(ExactNumber);
  expect(String(number)).toBe(token);
  expect(Number(number)).toBe(Number(token));
  expect(JSON.stringify(parseJson(`{"a":[${token}]}`))).toBe(`{"a":[${token}]}`);
});

test.each([
  ["9007199254740991", 9007199254740991],
  ["-9007199254740991", -9007199254740991],
  ["0.1", 0.1],
  ["1.0", 1],
  ["0.30000000000000004", 0.30000000000000004],
  ["0.8394857293847561000", 0.8394857293847561],
  ["1.7976931348623157e308", Number.MAX_VALUE],
  ["1.7976931348623157E+308", Number.MAX_VALUE],
  ["0.0000000000000000000001", 1e-22],
  ["5e-324", 5e-324],
  ["0e999", 0],
  ["0.0000000000000000000000", 0],
  ["-0", -0],
])("a number that a double prints, %p, is a plain one", (token, value) => {
  expect(exactNumber(token)).toBe(value);
  expect((parseJson(`[${token}]`) as unknown[])[0]).toBe(value);
});

test("digits within a text change nothing, and the last of two equal keys wins", () => {
  const text =
    '{"t":"1234567890123456789 1e400","n":12345678901234567890,"n":12345678901234567891}';
  expect(parseJson(text)).toEqual({
    t: "1234567890123456789 1e400",
    n: 12345678901234567891n,
  });
});

test("JSON that is not whole is refused, with and without long numbers", () => {
  expect(() => parseJson('{"a":1')).toThrow(SyntaxError);
  expect(() => parseJson('{"a":12345678901234567890')).toThrow(SyntaxError);
});

test("a value too deep for a reviver is still parsed", () => {
  const deep = `${"[".repeat(100_000)}12345678901234567890${"]".repeat(100_000)}`;
  expect(isTooDeep(parseJson(deep))).toBe(true);
});

test("JSON of the program has a tab at its end exactly when it needs exact parsing", () => {
  expect(markedJson({ a: "\t1", b: 2 })).toBe('{"a":"\\t1","b":2}');
  expect(markedJson({ a: 2n ** 60n })).toBe('{"a":1152921504606846976}\t');
  expect(markedJson({ a: 1 })).toBe('{"a":1}');
  expect(parseMarked('{"a":1152921504606846976}\t')).toEqual({ a: 2n ** 60n });
  expect(parseMarked('{"a":1152921504606846976}')).toEqual({ a: 2 ** 60 });
});

test("bytes without marks stay the same bytes, and marks alone are taken out", () => {
  const plain = new TextEncoder().encode('{"a":1}');
  expect(withoutMarks(plain)).toBe(plain);
  const marked = new TextEncoder().encode('{"a":1}\t,{"b":2}\t');
  expect(new TextDecoder().decode(withoutMarks(marked))).toBe('{"a":1},{"b":2}');
});

test("a task keeps its exact numbers as bytes, and its record has them without marks", () => {
  const row = parseJson('{"id":1234567890123456789,"x":0.1000000000000000055}') as JsonObject;
  const history = [hopOf("a", { big: 2n ** 64n }), hopOf("a", 1)];
  const encoded = encodeTask(taskOf({ row, history }));
  const appended = appendHop(encoded, hopOf("a", [2n ** 70n])) as EncodedTask;
  appended.forgetParsed();
  expect(appended.row).toEqual(row);
  expect(appended.history.map(({ result }) => result)).toEqual([
    { big: 2n ** 64n },
    1,
    [2n ** 70n],
  ]);
  const ending: Ending = {
    status: "ok",
    stopReason: "completed",
    score: null,
    outcome: null,
    error: null,
  };
  const head = createHead(appended, ending, { admittedAt: 0, endedAt: 1 });
  const line = encodeRecord(head, appended)
    .map((part) => (typeof part === "string" ? part : new TextDecoder().decode(part)))
    .join("");
  expect(line).not.toContain("\t");
  expect(line).toContain('"row":{"id":1234567890123456789,"x":0.1000000000000000055}');
  expect(line).toContain('"result":{"big":18446744073709551616}');
  expect(parseJson(line)).toMatchObject({ row, history: [{}, {}, { result: [2n ** 70n] }] });
});

test("an exact number is no object, has no depth and survives a cut", () => {
  const number = new ExactNumber("1e400");
  expect(isJsonObject(number)).toBe(false);
  expect(isTooDeep(number, 0)).toBe(false);
  expect(isTooDeep([number], 1)).toBe(false);
  expect(cutDepth({ a: [number, [1]] }, 2)).toEqual({ a: [number, null] } as never);
});
