// Filler text: how many words, and how they become sentences.

import { expect, test } from "bun:test";
import { drawWords } from "../../src/model/words.ts";
import { createRandom } from "../../src/task/seed.ts";

test("a sentence has eleven words, a capital letter and a full stop", () => {
  expect(drawWords(1, () => 0)).toBe("The.");
  expect(drawWords(11, () => 0)).toBe(`The${" the".repeat(10)}.`);
  expect(drawWords(12, () => 0)).toBe(`The${" the".repeat(10)}. The.`);
});

test("no words are an empty text", () => {
  expect(drawWords(0, () => 0)).toBe("");
});

test("the highest random number gives the last word of the list", () => {
  expect(drawWords(1, () => 0.999_999)).toBe("Whole.");
});

test("the same seed gives the same words, and another seed gives others", () => {
  const text = (seed: number) => drawWords(40, createRandom(seed));
  expect(text(1)).toBe(text(1));
  expect(text(1)).not.toBe(text(2));
  expect(text(1).split(" ")).toHaveLength(40);
});
