import { expect, test } from "bun:test";
import { type Answer, pairIn } from "../../src/export/pairs.ts";

const answers = (...all: readonly (readonly [score: number, text: string])[]): Answer[] =>
  all.map(([score, text], index) => ({ place: String(index), score, text }));

test.each<[answers: Answer[], places: readonly [string, string]]>([
  [answers([0, "a"], [1, "b"]), ["1", "0"]],
  [answers([1, "a"], [0, "b"], [0, "c"], [1, "d"]), ["0", "1"]],
  [answers([0, "a"], [1, "a"], [0.5, "b"]), ["1", "2"]],
  [answers([1, "a"], [1, "b"], [0, "a"]), ["1", "2"]],
  [answers([-2, "a"], [-1, "b"], [-3, "c"]), ["1", "2"]],
])("a pair is the best answer and the worst one with another text", (found, [best, worst]) => {
  expect(pairIn(found)).toMatchObject({ best: { place: best }, worst: { place: worst } });
});

test.each([
  [answers(), "rows_with_one_answer"],
  [answers([1, "a"]), "rows_with_one_answer"],
  [answers([1, "a"], [1, "b"]), "rows_with_equal_scores"],
  [answers([1, "a"], [0, "a"]), "rows_with_equal_texts"],
] as const)("answers without a pair have a reason", (found, reason) => {
  expect(pairIn(found)).toBe(reason);
});
