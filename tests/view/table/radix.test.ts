// The order of doubles by their bits.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { sortedPlaces } from "../../../src/view/table/radix.ts";

const sorted = (keys: readonly number[], descending = false) => [
  ...sortedPlaces(Float64Array.from(keys), descending),
];

test("negative, fractional, infinite and large keys are in order", () => {
  const keys = [3, -2.5, 0, 1e300, Number.NEGATIVE_INFINITY, -1e-300, Number.POSITIVE_INFINITY];
  expect(sorted(keys)).toEqual([4, 1, 5, 2, 0, 3, 6]);
  expect(sorted(keys, true)).toEqual([6, 3, 0, 2, 5, 1, 4]);
});

test("equal keys keep the order of their places in both directions, and -0 equals 0", () => {
  expect(sorted([1, 0, 1, -0, 0])).toEqual([1, 3, 4, 0, 2]);
  expect(sorted([1, 0, 1, -0, 0], true)).toEqual([0, 2, 1, 3, 4]);
});

test("keys that are not a number come last in both directions", () => {
  expect(sorted([Number.NaN, 2, Number.NaN, 1])).toEqual([3, 1, 0, 2]);
  expect(sorted([Number.NaN, 2, Number.NaN, 1], true)).toEqual([1, 3, 0, 2]);
});

test("an empty list of keys has an empty order", () => {
  expect(sorted([])).toEqual([]);
});

test("any doubles have the order that comparisons give them", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true })), fc.boolean(), (keys, descending) => {
      const expected = keys
        .map((_, place) => place)
        .sort((a, b) => {
          const [x = 0, y = 0] = [keys[a], keys[b]];
          if (x === y) return a - b;
          return x < y === descending ? 1 : -1;
        });
      expect(sorted(keys, descending)).toEqual(expected);
    }),
  );
});
