// Draws from the distributions that a recipe names: latencies in milliseconds, lengths in tokens.

import type { Distribution } from "../recipe/schema/value-schema.ts";

/** Draws one value, which is never below zero. */
export function sample(distribution: Distribution, random: () => number): number {
  switch (distribution.kind) {
    case "constant":
      return distribution.value;
    case "uniform":
      return distribution.min + (distribution.max - distribution.min) * random();
    case "normal":
      return Math.max(0, distribution.mean + distribution.sigma * gaussian(random));
    case "exponential":
      return -distribution.mean * Math.log(1 - random());
    case "lognormal":
      return distribution.median * Math.exp(distribution.sigma * gaussian(random));
    case "pareto":
      return distribution.min / (1 - random()) ** (1 / distribution.alpha);
  }
}

/** A draw from the standard normal distribution (Box and Muller). */
function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
