// Numbers as people write them.

import { expect, test } from "bun:test";
import { formatDuration, grouped } from "../../../src/cli/text/figures.ts";

test.each([
  [0, "0"],
  [999, "999"],
  [999.4, "999"],
  [999.5, "1,000"],
  [1_234_567, "1,234,567"],
])("%d is written as %s", (value, text) => {
  expect(grouped(value)).toBe(text);
});

test.each([
  [0, "0 ms"],
  [5.4, "5 ms"],
  [999, "999 ms"],
  [1000, "1.0 s"],
  [3240, "3.2 s"],
  [59_900, "59.9 s"],
  [60_000, "1 min 0 s"],
  [250_999, "4 min 10 s"],
  [3_599_999, "59 min 59 s"],
  [3_600_000, "1 h 0 min"],
  [7_500_000, "2 h 5 min"],
])("%d ms are written as %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
