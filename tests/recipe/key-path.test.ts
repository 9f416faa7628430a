// Key paths: written, split, followed and compared with patterns.

import { expect, test } from "bun:test";
import { joinKey, matchesKey, splitKey, valueAt } from "../../src/recipe/key-path.ts";

test("parts are joined with dots, and a part that is not a bare key stands in quotes", () => {
  expect(["models", "gpt-4.1", "model"].reduce(joinKey, "")).toBe('models."gpt-4.1".model');
  expect(joinKey("", "a_b-9")).toBe("a_b-9");
  expect(joinKey("a", "")).toBe('a.""');
  expect(joinKey("a", 'b"c')).toBe('a."b\\"c"');
  expect(joinKey("a", "ä")).toBe('a."ä"');
});

test("splitting a path gives back the parts that were joined", () => {
  for (const parts of [["a"], ["models", "gpt-4.1", "model"], ["a", 'x"y.z', "0"], ["a", ""]])
    expect(splitKey(parts.reduce(joinKey, ""))).toEqual(parts);
  expect(splitKey("")).toEqual([]);
});

test("a path leads to a value in tables and lists", () => {
  const table = { a: { b: [10, { c: null }] }, "x.y": 1 };
  expect(valueAt(table, "a.b.0")).toBe(10);
  expect(valueAt(table, "a.b.1.c")).toBe(null);
  expect(valueAt(table, '"x.y"')).toBe(1);
  expect(valueAt(table, "")).toBe(table);
});

test("a path that leads nowhere gives undefined, also through inherited names", () => {
  const table = { a: { b: [10] }, n: null, t: "text" };
  const paths = ["c", "a.c", "a.b.1", "a.b.0.c", "n.x", "t.0", "toString", "a.constructor"];
  for (const path of paths) expect(valueAt(table, path)).toBeUndefined();
});

test("a pattern matches paths of the same length, and * stands for one part", () => {
  expect(matchesKey("models.m.headers.X-Team", "models.*.headers.*")).toBe(true);
  expect(matchesKey('models."gpt-4.1".api_key', "models.*.api_key")).toBe(true);
  for (const path of ["models.m.headers", "models.m.headers.a.b", "roles.m.headers.a"])
    expect(matchesKey(path, "models.*.headers.*")).toBe(false);
});
