// Agreement between judges.

import { expect, test } from "bun:test";
import { agreement, kappaOf, pairwise } from "../../../src/view/judging/agreement.ts";

const judge = (name: string, verdicts: string) => ({
  name,
  verdicts: new Map(
    [...verdicts].flatMap((verdict, record): [string, boolean][] =>
      verdict === "." ? [] : [[String(record), verdict === "+"]],
    ),
  ),
});

test("two judges are compared on the records that both judged", () => {
  const compared = agreement(judge("a", "++--+."), judge("b", "+-+-.+"));
  expect(compared).toEqual({
    a: "a",
    b: "b",
    both: 4,
    table: [1, 1, 1, 1],
    agree: 0.5,
    kappa: 0,
  });
});

test("kappa is that of Cohen's example: 20, 5, 10 and 15 of 50 give 0.4", () => {
  expect(kappaOf([20, 5, 10, 15])).toBeCloseTo(0.4, 12);
});

test("full agreement has kappa 1, full disagreement -1", () => {
  expect(kappaOf([5, 0, 0, 5])).toBe(1);
  expect(kappaOf([0, 5, 5, 0])).toBe(-1);
});

test("kappa is not defined without records, nor when both always say the same", () => {
  expect(kappaOf([0, 0, 0, 0])).toBeNull();
  expect(kappaOf([7, 0, 0, 0])).toBeNull();
  expect(agreement(judge("a", "+"), judge("b", ".")).agree).toBeNull();
});

test("pairs with the most records in common come first, and pairs with none are left out", () => {
  const judges = [judge("a", "++."), judge("b", "+++"), judge("c", "..-")];
  expect(pairwise(judges).map(({ a, b, both }) => [a, b, both])).toEqual([
    ["a", "b", 2],
    ["b", "c", 1],
  ]);
});
