// Draws from each distribution of a recipe, with known random numbers.

import { expect, test } from "bun:test";
import { sample } from "../../src/model/distribution.ts";
import type { Distribution } from "../../src/recipe/schema/value-schema.ts";
import { createRandom } from "../../src/task/seed.ts";

/** A random source that gives these numbers, one after the other. */
const drawing = (...numbers: number[]) => {
  const left = [...numbers];
  return () => left.shift() ?? expect.unreachable("another random number was drawn");
};
/** A standard normal draw from 0.2 and 0. */
const NORMAL = Math.sqrt(-2 * Math.log(0.8));

const cases: readonly (readonly [distribution: Distribution, drawn: number[], value: number])[] = [
  [{ kind: "constant", value: 7 }, [], 7],
  [{ kind: "uniform", min: 10, max: 30 }, [0], 10],
  [{ kind: "uniform", min: 10, max: 30 }, [0.25], 15],
  [{ kind: "normal", mean: 100, sigma: 10 }, [0.2, 0], 100 + 10 * NORMAL],
  [{ kind: "normal", mean: 100, sigma: 10 }, [0.2, 0.5], 100 - 10 * NORMAL],
  [{ kind: "normal", mean: 1, sigma: 100 }, [0.2, 0.5], 0],
  [{ kind: "exponential", mean: 100 }, [0.2], -100 * Math.log(0.8)],
  [{ kind: "lognormal", median: 100, sigma: 2 }, [0.2, 0], 100 * Math.exp(2 * NORMAL)],
  [{ kind: "lognormal", median: 100, sigma: 2 }, [0.2, 0.5], 100 * Math.exp(-2 * NORMAL)],
  [{ kind: "pareto", min: 100, alpha: 2 }, [0.75], 200],
];
for (const [distribution, drawn, value] of cases) {
  test(`a draw from ${JSON.stringify(distribution)} with ${drawn.join(" and ") || "nothing"} is ${value.toFixed(2)}`, () => {
    expect(sample(distribution, drawing(...drawn))).toBeCloseTo(value, 9);
  });
}

test("each distribution has the median that its parameters say", () => {
  const random = createRandom(3);
  const medianOf = (distribution: Distribution) =>
    Array.from({ length: 4001 }, () => sample(distribution, random)).sort((a, b) => a - b)[2000];
  const medians: readonly (readonly [Distribution, number])[] = [
    [{ kind: "lognormal", median: 100, sigma: 1 }, 100],
    [{ kind: "uniform", min: 50, max: 150 }, 100],
    [{ kind: "exponential", mean: 100 }, 100 * Math.LN2],
    [{ kind: "normal", mean: 100, sigma: 10 }, 100],
    [{ kind: "pareto", min: 100, alpha: 2 }, 100 * Math.SQRT2],
  ];
  for (const [distribution, median] of medians)
    expect(Math.abs((medianOf(distribution) ?? 0) / median - 1)).toBeLessThan(0.1);
});
