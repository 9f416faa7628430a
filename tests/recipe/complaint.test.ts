// The word that was probably meant.

import { expect, test } from "bun:test";
import { nearestWord } from "../../src/recipe/complaint.ts";

test.each([
  ["promt", ["prompt", "role"], "prompt"],
  ["concurrenyc", ["concurrency"], "concurrency"],
  ["mm", ["m"], "m"],
  ["x", ["xy"], "xy"],
  ["x", ["a", "b"], undefined],
  ["zz", ["a"], undefined],
  ["zz", ["ab"], undefined],
  ["abc", ["abd"], "abd"],
  ["abcd", ["xyzd"], undefined],
  ["abcdefghijkl", ["abcdefghwxyz"], "abcdefghwxyz"],
  ["a", [], undefined],
] as const)("near %p of %j is %p", (word, words, near) => {
  expect(nearestWord(word, words)).toBe(near);
});
