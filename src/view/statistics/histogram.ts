// Distributions of a column. Bins are whole numbers for counts of few values, equal ratios for
// values that span more than two powers of ten, and equal widths otherwise.

import type { Histogram } from "../api.ts";

const BINS = 30;
/** Ratio of the largest to the least value from which on bins have equal ratios. */
const WIDE = 100;

/**
 * The histogram of values, of which NaN is none; null without a value. `scratch` has room for all
 * values, and is overwritten.
 */
export function histogramOf(
  values: ArrayLike<number>,
  scratch = new Float64Array(values.length),
): Histogram | null {
  const sorted = sortedValues(values, scratch);
  if (sorted.length === 0) return null;
  const [min = 0] = sorted;
  const max = sorted.at(-1) ?? 0;
  const scale = min > 0 && max / min > WIDE ? "log" : "linear";
  const edges = edgesOf(sorted, min, max, scale);
  return {
    ...{ scale, edges, min, max },
    counts: countsIn(sorted, edges),
    total: sorted.length,
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    p50: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
  };
}

function sortedValues(values: ArrayLike<number>, copy: Float64Array): Float64Array {
  let count = 0;
  for (let n = 0; n < values.length; n++) {
    const value = values[n] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    copy[count] = value;
    count++;
  }
  return copy.subarray(0, count).sort();
}

function edgesOf(
  sorted: Float64Array,
  min: number,
  max: number,
  scale: Histogram["scale"],
): readonly number[] {
  if (scale === "log") {
    const ratio = (max / min) ** (1 / BINS);
    return [...Array.from({ length: BINS }, (_, bin) => min * ratio ** bin), max];
  }
  if (max - min < BINS && sorted.every(Number.isInteger) && max - min > 1)
    return Array.from({ length: max - min + 2 }, (_, bin) => min + bin);
  // Scores are mostly shares, and are compared by eye between runs.
  const [low, high] = min >= 0 && max <= 1 ? [0, 1] : [min, max];
  if (low === high) return [low, low];
  return Array.from({ length: BINS + 1 }, (_, bin) => low + ((high - low) * bin) / BINS);
}

/** The number of values in each bin. Values and edges are ascending. */
function countsIn(sorted: Float64Array, edges: readonly number[]): readonly number[] {
  const counts = new Array<number>(edges.length - 1).fill(0);
  let bin = 0;
  for (const value of sorted) {
    while (bin < counts.length - 1 && value >= (edges[bin + 1] ?? Number.POSITIVE_INFINITY)) bin++;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
