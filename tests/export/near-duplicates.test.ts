import { expect, test } from "bun:test";
import { NearDuplicates } from "../../src/export/near-duplicates.ts";
import { createRandom } from "../../src/task/seed.ts";

const PAIRS = 120;
const SHARED_GRAMS = 60;

test("two texts are near duplicates as often as the theory of banding says", () => {
  const random = createRandom(7);
  const words = (count: number) =>
    Array.from({ length: count }, () => random().toString(36).slice(2, 10));
  for (const share of [0.3, 0.5, 0.75, 0.9]) {
    // Both texts begin with the same 60 grams of five words, and end differently.
    const own = Math.round((SHARED_GRAMS * (1 - share)) / share / 2);
    let met = 0;
    for (let pair = 0; pair < PAIRS; pair++) {
      const start = words(SHARED_GRAMS + 4);
      const texts = new NearDuplicates();
      texts.add([...start, ...words(own)].join(" "));
      if (!texts.add([...start, ...words(own)].join("\n"))) met++;
    }
    expect(Math.abs(met / PAIRS - (1 - (1 - share ** 8) ** 14))).toBeLessThan(0.1);
  }
});

test("a text without words has no duplicates, and case and punctuation make no difference", () => {
  const texts = new NearDuplicates();
  expect([texts.add(""), texts.add(""), texts.add("…")]).toEqual([true, true, true]);
  expect([
    texts.add("It is, so to speak, the same."),
    texts.add("it is so to speak THE SAME"),
  ]).toEqual([true, false]);
});

test("a text is a near duplicate of itself, also when it is shorter than five words", () => {
  for (const text of ["one", "one two three four", "one two three four five six"]) {
    const texts = new NearDuplicates();
    expect([texts.add(text), texts.add(text)]).toEqual([true, false]);
  }
});

test("texts of different words are not near duplicates", () => {
  const texts = new NearDuplicates();
  expect([texts.add("a b c d e f"), texts.add("g h i j k l"), texts.add("f e d c b a")]).toEqual([
    true,
    true,
    true,
  ]);
});

test("each character is a word in scripts without spaces", () => {
  const texts = new NearDuplicates();
  expect([texts.add("短い文です"), texts.add("短 い 文 で す")]).toEqual([true, false]);
});

test("the same texts are near duplicates in every version", () => {
  const words = Array.from({ length: 60 }, (_, i) => `w${i}`);
  const isFresh = (changed: number, seed: number): boolean => {
    const texts = new NearDuplicates();
    texts.add(words.join(" "));
    return texts.add(words.map((word, i) => (i < changed ? `x${seed}${i}` : word)).join(" "));
  };
  const found = Array.from({ length: 40 }, (_, seed) => (isFresh(12, seed) ? "-" : "x")).join("");
  expect(found).toBe("xxxxxxxxxxxxxxxxx-xx-xxxxx-x---xxxxx-xxx");
});
