import { expect, test } from "bun:test";
import { parseSplits, splitOf, WHOLE } from "../../src/export/split.ts";

test.each<[text: string, splits: readonly (readonly [string, number])[]]>([
  ["train=1", [["train", 1]]],
  ["train=1.0", [["train", 1]]],
  [
    "train=0.9,test=0.1",
    [
      ["train", 0.9],
      ["test", 0.1],
    ],
  ],
  [
    "a=.5 , b_2=0.5",
    [
      ["a", 0.5],
      ["b_2", 0.5],
    ],
  ],
  [
    "a=1,b=0",
    [
      ["a", 1],
      ["b", 0],
    ],
  ],
  [
    "a=0.1,b=0.2,c=0.7",
    [
      ["a", 0.1],
      ["b", 0.2],
      ["c", 0.7],
    ],
  ],
])("--split %s is read", (text, splits) => {
  expect(parseSplits(text)).toEqual(splits.map(([name, share]) => ({ name, share })));
});

test.each([
  ["train", "train is not NAME=SHARE"],
  ["", " is not NAME=SHARE"],
  ["a=0.5,,b=0.5", " is not NAME=SHARE"],
  ["a-b=1", "a-b=1 is not NAME=SHARE"],
  ["a=2", "a=2 is not NAME=SHARE"],
  ["a=-1", "a=-1 is not NAME=SHARE"],
  ["a=1.5", "a=1.5 is not NAME=SHARE"],
  ["a=0.5", "the shares add up to 0.5 and not to 1"],
  ["a=0.6,b=0.5", "the shares add up to 1.1 and not to 1"],
  ["a=0.5,a=0.5", "two splits have the same name"],
])("--split %j is refused", (text, why) => {
  expect(() => parseSplits(text)).toThrow(`--split ${text}: ${why}`);
});

test("shares may miss 1 by a rounding error and by no more", () => {
  expect(parseSplits("a=0.3333333333,b=0.3333333333,c=0.3333333334")).toHaveLength(3);
  expect(() => parseSplits("a=0.333,b=0.333,c=0.333")).toThrow("add up to");
});

test("without splits all rows are in train", () => {
  expect(WHOLE).toEqual([{ name: "train", share: 1 }]);
  expect(splitOf("any", WHOLE)).toBe(0);
});

test("a row's split is the same in every version", () => {
  const splits = parseSplits("a=0.5,b=0.25,c=0.25");
  const found = Array.from({ length: 40 }, (_, row) => splitOf(String(row), splits)).join("");
  expect(found).toBe("1000020021102000010000100201200202221000");
});

test("splits have their shares of the rows", () => {
  const splits = parseSplits("a=0.7,none=0,b=0.2,c=0.1");
  const counts = [0, 0, 0, 0];
  for (let row = 0; row < 10_000; row++) {
    const index = splitOf(`row ${row}`, splits);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  const [a = 0, none, b = 0, c = 0] = counts;
  expect(none).toBe(0);
  expect(Math.abs(a - 7000)).toBeLessThan(200);
  expect(Math.abs(b - 2000)).toBeLessThan(200);
  expect(Math.abs(c - 1000)).toBeLessThan(200);
});

test("a row that no share covers, by a rounding error, is in the last split", () => {
  const splits = [
    { name: "a", share: 0 },
    { name: "b", share: 0 },
  ];
  expect(splitOf("row", splits)).toBe(1);
});
