// Durations, sizes and shards as people write them.

import { expect, test } from "bun:test";
import { parseDuration, parseShard, parseSize } from "../../src/recipe/unit.ts";

test("a duration is a number and a unit, in milliseconds", () => {
  const durations = ["1ms", "500ms", "1s", "90s", "2m", "1.5h", "1d", " 3s ", "0ms"];
  expect(durations.map(parseDuration)).toEqual([
    1, 500, 1000, 90_000, 120_000, 5_400_000, 86_400_000, 3000, 0,
  ]);
});

test("a text without a number, a unit or a known unit is not a duration", () => {
  const texts = ["90", "s", "-1s", "1 parsec", "", "1.s", ".5s", "1 s", "1S", "1s2", "x1s"];
  expect(texts.map(parseDuration)).toEqual(texts.map(() => null));
});

test("sizes with i are powers of 1024 bytes, and sizes without are powers of 1000", () => {
  expect(["1B", "1KiB", "1MiB", "1GiB", "1TiB"].map(parseSize)).toEqual([
    1,
    1024,
    1024 ** 2,
    1024 ** 3,
    1024 ** 4,
  ]);
  expect(["1kB", "1MB", "1GB", "1TB"].map(parseSize)).toEqual([1e3, 1e6, 1e9, 1e12]);
});

test("a size is rounded to whole bytes", () => {
  expect(["1.5KiB", "0.3kB", "1.0006kB", "1.0004kB", "64 MiB", " 2B "].map(parseSize)).toEqual([
    1536, 300, 1001, 1000, 67_108_864, 2,
  ]);
});

test("a text without a number, a unit or a known unit is not a size", () => {
  const texts = ["512", "B", "-1B", "1KB", "1b", "1Mb", "1PB", "1iB", "", "1B2", "x1B"];
  expect(texts.map(parseSize)).toEqual(texts.map(() => null));
});

test("a shard is an index and a count, and the count is above zero", () => {
  expect(["0/4", "3/4", "4/4", " 1/2 ", "0/1", "123456789/999999999"].map(parseShard)).toEqual([
    { index: 0, count: 4 },
    { index: 3, count: 4 },
    { index: 4, count: 4 },
    { index: 1, count: 2 },
    { index: 0, count: 1 },
    { index: 123_456_789, count: 999_999_999 },
  ]);
  const texts = [
    "0/0",
    "1",
    "1/",
    "/2",
    "-1/2",
    "1/2/3",
    "a/2",
    "1.0/2",
    "1/1234567890",
    "1234567890/1",
    "",
  ];
  expect(texts.map(parseShard)).toEqual(texts.map(() => null));
});
