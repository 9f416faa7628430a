// Seeds, fingerprints and digests: stable for ever, since run directories rest on them.

import { describe, expect, test } from "bun:test";
import { IdDigest } from "../../src/task/id-digest.ts";
import { IdSet } from "../../src/task/id-set.ts";
import { createRandom, deriveSeed } from "../../src/task/seed.ts";

describe("a seed", () => {
  test("is the same on every host and in every version", () => {
    expect(deriveSeed(0, "0", 0)).toBe(PINNED.seed);
    expect(createRandom(PINNED.seed)()).toBe(PINNED.random);
  });

  test("differs for every row and trial, and is exact as a JSON number", () => {
    const seeds = new Set<number>();
    for (let row = 0; row < 2000; row++)
      for (let trial = 0; trial < 5; trial++) seeds.add(deriveSeed(7, String(row), trial));
    expect(seeds.size).toBe(10_000);
    expect([...seeds].every(Number.isSafeInteger)).toBe(true);
    expect(deriveSeed("a", "bc")).not.toBe(deriveSeed("ab", "c"));
  });

  test("gives numbers that look uniform", () => {
    const random = createRandom(1);
    const mean = Array.from({ length: 10_000 }, random).reduce((a, b) => a + b) / 10_000;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
  });
});

describe("a set of ids", () => {
  test("knows exactly what was added, trials apart", () => {
    const ids = new IdSet();
    for (let row = 0; row < 3000; row++)
      for (let trial = 0; trial < 5; trial++) expect(ids.add(String(row), trial)).toBe(true);
    expect(ids.size).toBe(15_000);
    for (let row = 0; row < 3000; row++) expect(ids.add(String(row), row % 5)).toBe(false);
    expect(ids.has("2999", 4)).toBe(true);
    expect(ids.has("2999", 5)).toBe(false);
    expect(ids.has("3000", 0)).toBe(false);
  });
});

describe("a digest of ids", () => {
  test("does not depend on their order, and on everything else", () => {
    const digestOf = (ids: readonly (readonly [string, number])[]) => {
      const digest = new IdDigest();
      for (const [id, trial] of ids) digest.add(id, trial);
      return digest.hex;
    };
    const base = digestOf([
      ["a", 0],
      ["b", 1],
    ]);
    expect(
      digestOf([
        ["b", 1],
        ["a", 0],
      ]),
    ).toBe(base);
    expect(
      digestOf([
        ["a", 1],
        ["b", 0],
      ]),
    ).not.toBe(base);
    expect(digestOf([["a", 0]])).not.toBe(base);
    expect(
      digestOf([
        ["a", 0],
        ["a", 0],
      ]),
    ).not.toBe(
      digestOf([
        ["b", 0],
        ["b", 0],
      ]),
    );
  });
});

const PINNED = { seed: 8067073243756505, random: 0.9677160545252264 };
