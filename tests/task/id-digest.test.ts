import { expect, test } from "bun:test";
import { IdDigest } from "../../src/task/id-digest.ts";

type Ids = readonly (readonly [id: string, trial: number])[];

function digestOf(ids: Ids): string {
  const digest = new IdDigest();
  for (const [id, trial] of ids) digest.add(id, trial);
  return digest.hex;
}

const HUNDRED: Ids = Array.from({ length: 100 }, (_, i) => [String(i), i % 3]);

test("a digest of ids is the same in every version", () => {
  expect(digestOf([])).toBe("0000000000000000");
  expect(digestOf([["a", 0]])).toBe("221f408ad0ad8193");
  expect(
    digestOf([
      ["a", 0],
      ["b", 1],
    ]),
  ).toBe("3fa0ac4bf5d5ed6c");
  // The sums of both lanes have passed 32 bits here.
  expect(digestOf([["a", 0], ["b", 1], ...HUNDRED])).toBe("fcaa74369319d438");
});

test("a digest of ids does not depend on their order", () => {
  expect(digestOf(HUNDRED.toReversed())).toBe(digestOf(HUNDRED));
});

test("a digest of ids changes with every id, trial and repetition", () => {
  const sets: Ids[] = [
    [["a", 0]],
    [["a", 1]],
    [["b", 0]],
    [
      ["a", 0],
      ["a", 0],
    ],
    [
      ["b", 0],
      ["b", 0],
    ],
    [
      ["a", 0],
      ["b", 1],
    ],
    [
      ["a", 1],
      ["b", 0],
    ],
  ];
  expect(new Set(sets.map(digestOf)).size).toBe(sets.length);
});
