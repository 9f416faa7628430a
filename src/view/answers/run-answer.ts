// The answer about one run: counts, distributions, its time line, errors, roles and models.

import { stat } from "node:fs/promises";
import { maskedValue } from "../../known-secrets.ts";
import { collectGarbage } from "../../platform.ts";
import { labelsOf } from "../../records/annotations/annotation.ts";
import { trajectoriesPath } from "../../records/record-file.ts";
import type { JsonObject } from "../../task/json.ts";
import type { Column, NamedCount, RunAnswer, RunCard } from "../api.ts";
import type { RunLibrary } from "../library/run-library.ts";
import type { Moment, ShownRun } from "../library/shown-run.ts";
import { errorGroups } from "../statistics/error-groups.ts";
import { histogramOf } from "../statistics/histogram.ts";
import { timeLineOf } from "../statistics/time-line.ts";
import { usageSample } from "../statistics/usage-sample.ts";
import type { NumberName, OwnColumn, RunTable, TextColumn } from "../table/run-table.ts";

const ERRORS_MAX = 20;
/** Records from which on the copies of columns are worth the time of freeing them. */
const LARGE = 100_000;

/** The card of a run whose table is open, with its score. */
export async function openCard(
  library: RunLibrary,
  shown: ShownRun,
  table: RunTable,
): Promise<RunCard> {
  const { found } = shown.run;
  const path = found.kind === "run" ? trajectoriesPath(found.path) : found.path;
  const bytes = (await stat(path).catch(() => null))?.size ?? 0;
  await library.cards.note(found, bytes, table);
  const card = await library.cards.card(found);
  const { problem } = shown.run;
  return problem === null || found.kind === "file"
    ? { ...card, problem: problem ?? card.problem }
    : { ...card, state: "broken", problem };
}

/** Answers that are given again while nothing changes. */
const latest = new WeakMap<ShownRun, { readonly content: string; readonly answer: RunAnswer }>();

export async function runAnswer(
  library: RunLibrary,
  shown: ShownRun,
  moment: Moment,
): Promise<RunAnswer> {
  const card = await openCard(library, shown, moment.table);
  const content = `${moment.content} ${JSON.stringify(card)}`;
  const known = latest.get(shown);
  if (known?.content === content) return known.answer;
  const answer = await freshAnswer(shown, moment, card);
  latest.set(shown, { content, answer });
  if (moment.table.size > LARGE) collectGarbage();
  return answer;
}

async function freshAnswer(
  shown: ShownRun,
  { table, annotations }: Moment,
  card: RunCard,
): Promise<RunAnswer> {
  const { manifest } = shown.run;
  const { ok, failed, lost } = card.counts;
  const all = new Uint32Array(table.size);
  for (let n = 0; n < table.size; n++) all[n] = n;
  const scratch = new Float64Array(table.size);
  const histogram = async (name: NumberName) =>
    histogramOf(firstOf(await table.numbers(name), table.size), scratch);
  const sample = await usageSample(shown.run, table);
  return {
    card,
    superseded: manifest?.superseded ?? 0,
    missing: Math.max(0, (card.expected ?? 0) - ok - failed - lost),
    stopReasons: countsOf(await table.texts("stop"), table.size),
    distributions: {
      score: await histogram("score"),
      turns: await histogram("turns"),
      tokens: await histogram("tokens"),
      latency: await histogram("ms"),
      cost: await histogram("cost"),
    },
    throughput: timeLineOf(
      firstOf(await table.numbers("ended"), table.size),
      await table.texts("status"),
    ),
    errors: (await errorGroups(table, all)).groups.slice(0, ERRORS_MAX),
    ...sample,
    columns: table.own.map(columnOf),
    labels: labelCounts([...annotations].map((annotation) => labelsOf([annotation]))),
    manifest: manifest === null ? null : (maskedValue(manifest) as unknown as JsonObject),
    trials: manifest?.trials ?? 1,
    notes: shown.run.notes,
  };
}

function firstOf(values: ArrayLike<number>, size: number): ArrayLike<number> {
  if (values.length === size) return values;
  const first = new Float64Array(size);
  for (let n = 0; n < size; n++) first[n] = values[n] ?? Number.NaN;
  return first;
}

/** The number of records for each text; the most frequent comes first. */
export function countsOf({ codes, strings }: TextColumn, size: number): readonly NamedCount[] {
  const counts = new Float64Array(strings.length);
  for (let n = 0; n < size; n++) {
    const code = codes[n] ?? 0;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return strings
    .map((name, code) => ({ name, count: counts[code] ?? 0 }))
    .filter(({ name, count }) => count > 0 && name !== "")
    .sort((a, b) => b.count - a.count);
}

function labelCounts(labels: readonly (readonly string[])[]): readonly NamedCount[] {
  const counts = new Map<string, number>();
  for (const label of labels.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count);
}

const CELLS_LOOKED_AT = 1000;

function columnOf({ name, source, cells }: OwnColumn): Column {
  const types = new Set<string>();
  for (let n = 0; n < Math.min(cells.length, CELLS_LOOKED_AT); n++)
    if (cells[n] != null) types.add(typeof cells[n]);
  const [type] = types;
  const named = type === "string" ? "text" : type === "number" ? "number" : "boolean";
  return { name, source, type: types.size > 1 ? "mixed" : types.size === 0 ? "text" : named };
}
