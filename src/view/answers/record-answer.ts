// The answers about one record.

import { contradictionsIn, parseRecord } from "../../records/check-record.ts";
import { isTooDeep } from "../../task/depth.ts";
import { parseJson } from "../../task/exact.ts";
import { isJsonObject, type JsonObject } from "../../task/json.ts";
import type { TrajectoryRecord } from "../../task/record.ts";
import type { Annotation, RecordAnswer, RecordRef } from "../api.ts";
import { rowOf } from "../library/listing.ts";
import type { Moment, ShownRun } from "../library/shown-run.ts";
import type { Attached } from "../record/given.ts";
import { Given } from "../record/given.ts";
import { spanAt } from "../record/outline.ts";
import type { RecordView } from "../record/record-view.ts";
import type { Parameters } from "../table/filter.ts";
import type { RunTable } from "../table/run-table.ts";

/** Hops whose bodies come with the first answer. */
const FIRST_HOPS = 100;
/** Characters of a record that is checked for contradictions and whose prompts are rendered. */
const WHOLE_CHARS_MAX = 8 * 2 ** 20;
const LEVELS_MAX = 200;

/** Parts that need the recipe of the run. */
export class Recipes {
  readonly #given = new WeakMap<object, Given>();

  /** The prompts, tools and attachments of the run; null for a run without a manifest. */
  of({ run: { manifest } }: ShownRun): Given | null {
    if (manifest === null) return null;
    const given = this.#given.get(manifest) ?? new Given(manifest);
    this.#given.set(manifest, given);
    return given;
  }
}

export async function recordAnswer(
  shown: ShownRun,
  given: Given | null,
  moment: Moment,
  n: number,
  parameters: Parameters,
): Promise<RecordAnswer> {
  const { table, said } = moment;
  const view = await shown.view(table, n);
  const row = await rowOf(table, n, said.get(n));
  const { attached, problem } = await attachmentsOf(given, view);
  const places = await shown.listing.places(table, parameters, said);
  const place = places.indexOf(n);
  const refAt = async (at: number) => {
    const other = places[at];
    return place === -1 || other === undefined ? null : refOf(table, other);
  };
  const { hops, head } = view;
  const failed = hops.findIndex(({ error }) => error !== undefined);
  return {
    row,
    head,
    input: view.input,
    hops,
    first: view.bodies(0, FIRST_HOPS),
    attachments: attached.map(({ content: _content, ...attachment }) => attachment),
    attachmentProblem: problem,
    previous: await refAt(place - 1),
    next: await refAt(place + 1),
    position: place === -1 ? null : place,
    matched: places.length,
    trials: await trialsOf(table, row.id),
    annotations: annotationsOf(moment, row.id, row.trial, head.attempt),
    firstError: failed === -1 ? (head.error?.hop ?? null) : failed,
    notes: notesOn(view),
  };
}

/** The attachments of the record's row. */
export async function attachmentsOf(
  given: Given | null,
  view: RecordView,
): Promise<{ readonly attached: readonly Attached[]; readonly problem: string | null }> {
  const span = spanAt(view.line, "/row");
  if (given === null || span === null || span.to - span.from > WHOLE_CHARS_MAX * 4)
    return { attached: [], problem: null };
  const row: unknown = parseJson(view.line.slice(span.from, span.to));
  if (!isJsonObject(row) || isTooDeep(row, LEVELS_MAX)) return { attached: [], problem: null };
  return given.attachmentsOf(row as JsonObject);
}

/** The whole record, for what needs it as a value; null for one that is too large or too deep. */
export function wholeOf({ line }: RecordView): TrajectoryRecord | null {
  if (line.length > WHOLE_CHARS_MAX) return null;
  const value = parseJson(line);
  return isTooDeep(value, LEVELS_MAX) ? null : (value as TrajectoryRecord);
}

export function annotationsOf(
  { annotations }: Moment,
  id: string,
  trial: number,
  attempt: number,
): readonly Annotation[] {
  return annotations.of(id, trial).map(({ attempt: seen, ...annotation }) => ({
    ...annotation,
    stale: seen !== attempt,
  }));
}

export async function refOf(table: RunTable, n: number): Promise<RecordRef> {
  return { id: table.idAt(n), trial: (await table.numbers("trial"))[n] ?? 0 };
}

/** The numbers of the trials of a row that have a record. */
export async function trialsOf(table: RunTable, id: string): Promise<readonly number[]> {
  const trials = await table.numbers("trial");
  let most = 0;
  for (let n = 0; n < table.size; n++) most = Math.max(most, trials[n] ?? 0);
  const found: number[] = [];
  for (let trial = 0; trial <= most; trial++)
    if ((await table.find(id, trial)) !== null) found.push(trial);
  return found;
}

/** Nothing for a record of another program, which has no such rules. */
function notesOn(view: RecordView): readonly string[] {
  if (view.line.length > WHOLE_CHARS_MAX) return [];
  const record = parseRecord(view.line);
  if (typeof record === "string") return [record];
  return contradictionsIn(record);
}
