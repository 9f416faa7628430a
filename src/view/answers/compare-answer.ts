// Runs side by side. The first one is the baseline; scores and costs are compared row by row, which
// tells smaller differences apart than two means do.

import { maskedValue } from "../../known-secrets.ts";
import { recipeDifferences } from "../../recipe/difference.ts";
import type { JsonObject } from "../../task/json.ts";
import type {
  CompareAnswer,
  ComparePair,
  CompareRun,
  Flip,
  RecipeChange,
  RunCard,
} from "../api.ts";
import type { ShownRun } from "../library/shown-run.ts";
import { differenceOf, estimate, type RowMeans, rowMeans } from "../statistics/estimate.ts";
import type { NumberName, RunTable } from "../table/run-table.ts";
import { countsOf } from "./run-answer.ts";

/** Rows of a pair that are listed. */
const FLIPS_MAX = 200;
/** Means this close are the same: they come from sums in another order. */
const SAME = 1e-9;

export interface Compared {
  readonly card: RunCard;
  readonly shown: ShownRun;
  readonly table: RunTable;
}

export async function compareAnswer(compared: readonly Compared[]): Promise<CompareAnswer> {
  const [first, ...others] = compared;
  const runs: CompareRun[] = [];
  for (const one of compared) runs.push(await runOf(one));
  const pairs: ComparePair[] = [];
  for (const other of others) if (first !== undefined) pairs.push(await pairOf(first, other));
  return { runs, pairs };
}

async function runOf({ card, table }: Compared): Promise<CompareRun> {
  return {
    card,
    cost: await estimate(table, "cost"),
    tokens: await estimate(table, "tokens"),
    latency: await estimate(table, "ms"),
    turns: await estimate(table, "turns"),
    stopReasons: countsOf(await table.texts("stop"), table.size),
  };
}

async function pairOf(a: Compared, b: Compared): Promise<ComparePair> {
  const scores = matched(await meansOf(a.table, "score"), await meansOf(b.table, "score"));
  const costs = matched(await meansOf(a.table, "cost"), await meansOf(b.table, "cost"));
  const all = matched(await rowMeans(a.table, () => 0), await rowMeans(b.table, () => 0));
  const flips = { up: 0, down: 0, same: 0 };
  const rows: (Flip & { readonly by: number })[] = [];
  scores.differences.forEach((by, index) => {
    flips[Math.abs(by) <= SAME ? "same" : by > 0 ? "up" : "down"]++;
    if (Math.abs(by) <= SAME) return;
    const [from = 0, place = 0] = [scores.a[index], scores.places[index]];
    rows.push({ id: a.table.idAt(place), a: from, b: from + by, by });
  });
  rows.sort((x, y) => Math.abs(y.by) - Math.abs(x.by));
  return {
    a: a.card.key,
    b: b.card.key,
    score: differenceOf(scores.differences),
    cost: differenceOf(costs.differences),
    rows: { both: all.differences.length, onlyA: all.onlyA, onlyB: all.onlyB },
    flips: {
      ...flips,
      rows: rows.slice(0, FLIPS_MAX).map(({ by: _by, ...flip }) => flip),
    },
    recipe: changesOf(a.shown.run.manifest?.recipe, b.shown.run.manifest?.recipe),
  };
}

async function meansOf(table: RunTable, name: NumberName): Promise<RowMeans> {
  const numbers = await table.numbers(name);
  return rowMeans(table, (n) => numbers[n] ?? Number.NaN);
}

interface Matched {
  /** The difference b less a, for each row that both have. */
  readonly differences: Float64Array;
  readonly a: Float64Array;
  /** A record of the row in a. */
  readonly places: Uint32Array;
  readonly onlyA: number;
  readonly onlyB: number;
}

/** The rows that both have. Both sides are in the order of their keys. */
function matched(a: RowMeans, b: RowMeans): Matched {
  const most = Math.min(a.keys.length, b.keys.length);
  const differences = new Float64Array(most);
  const means = new Float64Array(most);
  const places = new Uint32Array(most);
  let both = 0;
  for (let [i, j] = [0, 0]; i < a.keys.length && j < b.keys.length; ) {
    const [keyA = 0, keyB = 0] = [a.keys[i], b.keys[j]];
    if (keyA === keyB) {
      means[both] = a.means[i] ?? 0;
      differences[both] = (b.means[j] ?? 0) - (a.means[i] ?? 0);
      places[both] = a.places[i] ?? 0;
      both++;
    }
    if (keyA <= keyB) i++;
    if (keyB <= keyA) j++;
  }
  return {
    differences: differences.subarray(0, both),
    a: means.subarray(0, both),
    places: places.subarray(0, both),
    onlyA: a.keys.length - both,
    onlyB: b.keys.length - both,
  };
}

function changesOf(a: JsonObject = {}, b: JsonObject = {}): readonly RecipeChange[] {
  const text = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
  return recipeDifferences(maskedValue(a), maskedValue(b)).map(({ key, before, now }) => ({
    key,
    a: text(before),
    b: text(now),
  }));
}
