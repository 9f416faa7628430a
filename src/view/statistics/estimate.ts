// Means with 95 % confidence intervals by Student's t. Observations are rows: trials of one row
// depend on each other, so each row counts once, by the mean of its trials.

import { deriveSeed } from "../../task/seed.ts";
import type { Difference, Estimate } from "../api.ts";
import { sortedPlaces } from "../table/radix.ts";
import { type NumberName, type RunTable, textAt } from "../table/run-table.ts";

/** 97.5 % quantiles of Student's t for 1 to 5 degrees of freedom. */
const T_SMALL = [12.706, 4.303, 3.182, 2.776, 2.571];
/** The quantile of the normal distribution. */
const Z = 1.959964;

/** The means of rows that have a value, in the order of their keys. */
export interface RowMeans {
  /** A number of 53 bits for each row. Two of a million rows share one in one of 10,000 cases. */
  readonly keys: Float64Array;
  readonly means: Float64Array;
  /** The place of one of the row's records. */
  readonly places: Uint32Array;
  /** Number of values. */
  readonly count: number;
}

/** The mean of each row. `readValue` gives NaN for a record without a value. */
export async function rowMeans(
  table: RunTable,
  readValue: (n: number) => number,
): Promise<RowMeans> {
  const found = placesWith(table, readValue);
  const ids = await table.ids();
  const hashes = new Float64Array(found.length);
  for (let place = 0; place < found.length; place++)
    hashes[place] = deriveSeed(0, textAt(ids, found[place] ?? 0));
  const keys = new Float64Array(found.length);
  const means = new Float64Array(found.length);
  const places = new Uint32Array(found.length);
  let rows = 0;
  let trials = 0;
  for (const place of sortedPlaces(hashes, false)) {
    const [hash = 0, n = 0] = [hashes[place], found[place]];
    if (rows > 0 && keys[rows - 1] === hash) {
      trials++;
      const mean = means[rows - 1] ?? 0;
      means[rows - 1] = mean + (readValue(n) - mean) / trials;
      continue;
    }
    keys[rows] = hash;
    means[rows] = readValue(n);
    places[rows] = n;
    rows++;
    trials = 1;
  }
  return {
    keys: keys.subarray(0, rows),
    means: means.subarray(0, rows),
    places: places.subarray(0, rows),
    count: found.length,
  };
}

function placesWith(table: RunTable, readValue: (n: number) => number): Uint32Array {
  const places = new Uint32Array(table.size);
  let count = 0;
  for (let n = 0; n < table.size; n++) {
    if (Number.isNaN(readValue(n))) continue;
    places[count] = n;
    count++;
  }
  return places.subarray(0, count);
}

/** The mean of a column over rows. Rows with one trial each need not be told apart. */
export async function estimate(table: RunTable, name: NumberName): Promise<Estimate | null> {
  const numbers = await table.numbers(name);
  const trials = await table.numbers("trial");
  const read = (n: number) => numbers[n] ?? Number.NaN;
  for (let n = 0; n < table.size; n++)
    if (trials[n] !== 0) return estimateOf(await rowMeans(table, read));
  const places = placesWith(table, read);
  const means = new Float64Array(places.length);
  for (let at = 0; at < places.length; at++) means[at] = read(places[at] ?? 0);
  return estimateOf({ means, count: means.length });
}

/** The mean over rows and its interval; null without a value. */
export function estimateOf({ means, count }: Pick<RowMeans, "means" | "count">): Estimate | null {
  const interval = intervalOf(means);
  if (interval === null) return null;
  const { mean, half } = interval;
  return {
    mean,
    low: half === null ? null : mean - half,
    high: half === null ? null : mean + half,
    count,
  };
}

/** The mean of the differences; null without one. */
export function differenceOf(differences: Float64Array): Difference | null {
  const interval = intervalOf(differences);
  if (interval === null) return null;
  const { mean, half } = interval;
  return {
    delta: mean,
    low: half === null ? null : mean - half,
    high: half === null ? null : mean + half,
    rows: differences.length,
  };
}

/** The mean, and half the width of its interval: null for fewer than two values. */
function intervalOf(values: Float64Array): { mean: number; half: number | null } | null {
  if (values.length === 0) return null;
  let mean = 0;
  let squares = 0;
  values.forEach((value, index) => {
    const off = value - mean;
    mean += off / (index + 1);
    squares += off * (value - mean);
  });
  const freedom = values.length - 1;
  if (freedom === 0) return { mean, half: null };
  return { mean, half: tQuantile(freedom) * Math.sqrt(squares / freedom / values.length) };
}

/**
 * A quantile of Student's t, within 0.1 % of the exact one (the expansion of Cornish and Fisher).
 */
export function tQuantile(freedom: number): number {
  const known = T_SMALL[freedom - 1];
  if (known !== undefined) return known;
  const first = (Z ** 3 + Z) / 4;
  const second = (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / 96;
  const third = (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / 384;
  return Z + first / freedom + second / freedom ** 2 + third / freedom ** 3;
}
