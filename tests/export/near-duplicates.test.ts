// Near duplicates: texts meet as often as the theory of banding says for what they share, whatever the words.

import { expect, test } from "bun:test";
import { NearDuplicates } from "../../src/export/near-duplicates.ts";
import { createRandom } from "../../src/task/seed.ts";

const PAIRS = 300;
const SHARED_GRAMS = 200;

test("two texts meet the likelier the more they share: hardly ever with half, nearly always with nine in ten", () => {
  const random = createRandom(7);
  const words = (count: number) =>
    Array.from({ length: count }, () => random().toString(36).slice(2, 10));
  for (const share of [0.3, 0.5, 0.75, 0.9]) {
    // Both begin alike, with so many grams of five words, and end each in its own way.
    const own = Math.round((SHARED_GRAMS * (1 - share)) / share / 2);
    let met = 0;
    for (let pair = 0; pair < PAIRS; pair++) {
      const start = words(SHARED_GRAMS + 4);
      const texts = new NearDuplicates();
      texts.add([...start, ...words(own)].join(" "));
      if (!texts.add([...start, ...words(own)].join("\n"))) met++;
    }
    expect(Math.abs(met / PAIRS - (1 - (1 - share ** 8) ** 14))).toBeLessThan(0.08);
  }
});

test("a text without words is like no other, and case and marks make no difference", () => {
  const texts = new NearDuplicates();
  expect([texts.add(""), texts.add(""), texts.add("…")]).toEqual([true, true, true]);
  expect([
    texts.add("It is, so to speak, the same."),
    texts.add("it is so to speak THE SAME"),
  ]).toEqual([true, false]);
});
