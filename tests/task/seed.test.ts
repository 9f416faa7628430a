// Seeds must never change, because run directories, replays and shards rest on the values below.

import { expect, test } from "bun:test";
import { branchSeed, createRandom, deriveSeed, hash64 } from "../../src/task/seed.ts";

test.each<[text: string, salt: number | undefined, low: number, high: number]>([
  ["", undefined, 451841411, 1217125560],
  ["a", undefined, 2194241793, 1344023463],
  ["a", 1, 3661977055, 303239758],
  ["ä€😀 row", 7, 925860169, 862430494],
  ["abc".repeat(50), undefined, 215080907, 823759285],
])("the hash of %j with salt %p is the same in every version", (text, salt, low, high) => {
  expect(hash64(text, salt)).toEqual([low, high]);
});

test("the hash without a salt is the hash with salt 0", () => {
  expect(hash64("row", 0)).toEqual(hash64("row"));
});

test("a seed is the same on every host and in every version", () => {
  expect(deriveSeed(0, "0", 0)).toBe(8067073243756505);
  expect(deriveSeed(7, "row", 2)).toBe(7253057162191840);
  expect(deriveSeed("a")).toBe(7929297801672961);
  expect(deriveSeed()).toBe(3338908027751811);
});

test("the branches of a task have different seeds, the same in every version", () => {
  expect(branchSeed(1, 0)).toBe(4438702619159559);
  expect(branchSeed(1, 1)).toBe(4345968370433048);
});

test("a seed differs for every row and trial, and a JSON number carries it exactly", () => {
  const seeds = new Set<number>();
  for (let row = 0; row < 2000; row++)
    for (let trial = 0; trial < 5; trial++) seeds.add(deriveSeed(7, String(row), trial));
  expect(seeds.size).toBe(10_000);
  expect([...seeds].every(Number.isSafeInteger)).toBe(true);
  // 53 bits are used, and not only the low ones.
  expect(Math.max(...seeds)).toBeGreaterThan(2 ** 52);
});

test("a seed depends on where its parts begin and end", () => {
  expect(deriveSeed("a", "bc")).not.toBe(deriveSeed("ab", "c"));
  expect(deriveSeed("abc")).not.toBe(deriveSeed("ab", "c"));
});

test("a seed's random numbers are the same in every version and depend on all its bits", () => {
  const take = (seed: number) => Array.from({ length: 3 }, createRandom(seed));
  expect(take(0)).toEqual([0.33236309001222253, 0.46116352058015764, 0.1063046979252249]);
  expect(take(8067073243756505)).toEqual([
    0.9677160545252264, 0.3789165944326669, 0.02945054811425507,
  ]);
  expect(take(1)).not.toEqual(take(1 + 2 ** 32));
});

test("random numbers from a seed are uniform between 0 and 1", () => {
  const numbers = Array.from({ length: 10_000 }, createRandom(1));
  expect(Math.abs(numbers.reduce((a, b) => a + b) / 10_000 - 0.5)).toBeLessThan(0.01);
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  expect(Math.max(...numbers)).toBeGreaterThan(0.99);
});
