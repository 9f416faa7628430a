// The depth of JSON: where the bound is, and what a cut leaves.

import { expect, test } from "bun:test";
import { cutDepth, DEPTH_MAX, isTooDeep } from "../../src/task/depth.ts";
import type { Json } from "../../src/task/json.ts";
import { nested } from "../parts/nested.ts";

test("256 levels are allowed and 257 are not, of lists and of objects", () => {
  expect(DEPTH_MAX).toBe(256);
  for (const kind of ["list", "object"] as const) {
    expect(isTooDeep(nested(255, kind))).toBe(false);
    expect(isTooDeep(nested(256, kind))).toBe(false);
    expect(isTooDeep(nested(257, kind))).toBe(true);
    expect(isTooDeep(nested(50_000, kind))).toBe(true);
  }
});

test("every part is looked at, and what is no list or object has no depth", () => {
  expect(isTooDeep({ a: 1, b: [1, nested(255)] })).toBe(true);
  expect(isTooDeep([nested(10), nested(255)])).toBe(false);
  for (const value of [null, 1, "[".repeat(1000), true, undefined, new Uint8Array(3)])
    expect(isTooDeep(value, 0)).toBe(false);
  expect([isTooDeep([], 0), isTooDeep({}, 0), isTooDeep([], 1)]).toEqual([true, true, false]);
});

test("a value that contains itself is too deep", () => {
  const list: unknown[] = [];
  list.push(list, list);
  const table: Record<string, unknown> = {};
  table["self"] = table;
  expect([isTooDeep(list), isTooDeep(table)]).toEqual([true, true]);
});

test("a cut keeps the upper levels and puts null below them", () => {
  const value: Json = { a: [[1, { b: 2 }], "x"], c: null };
  expect(cutDepth(value, 1)).toEqual({ a: null, c: null });
  expect(cutDepth(value, 2)).toEqual({ a: [null, "x"], c: null });
  expect(cutDepth(value, 3)).toEqual({ a: [[1, null], "x"], c: null });
  expect(cutDepth(value, 4)).toEqual(value);
  const cut = cutDepth(nested(50_000));
  expect(isTooDeep(cut)).toBe(false);
  expect(isTooDeep(cut, DEPTH_MAX - 1)).toBe(true);
});
