// The counts of an export: records read, records left out by reason, the models in the others, and
// the parts of them that the format has no place for.

import type { TrajectoryRecord } from "../task/record.ts";
import { OMITTED, type Omitted } from "./contract.ts";
import { LEFT_OUT, type LeftOut } from "./selection.ts";

export class ExportTally {
  /** All records that were read. */
  records = 0;
  /** True when an answer in a selected record came from a simulated model. */
  simulated = false;
  readonly leftOut = Object.fromEntries(LEFT_OUT.map((reason) => [reason, 0])) as Record<
    LeftOut,
    number
  >;
  /** Parts of the examples that the format has no place for. */
  readonly omitted = Object.fromEntries(OMITTED.map((part) => [part, 0])) as Record<
    Omitted,
    number
  >;
  /** Answers in the selected records, by model. */
  readonly models = new Map<string, { answers: number; completionTokens: number }>();

  /** Counts a selected record. */
  add({ simulated, history }: TrajectoryRecord): void {
    this.simulated ||= simulated;
    for (const { model, usage } of history) {
      if (model === undefined) continue;
      const { answers, completionTokens } = this.models.get(model) ?? {
        answers: 0,
        completionTokens: 0,
      };
      this.models.set(model, {
        answers: answers + 1,
        completionTokens: completionTokens + (usage?.completion_tokens ?? 0),
      });
    }
  }
}

const UNPAIRED = "rows_with_";

/** The parts of examples among the counts of what was omitted. */
export function omittedParts(omitted: ExportTally["omitted"]): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(omitted).filter(([part]) => !part.startsWith(UNPAIRED)));
}

/** The rows without a pair among the counts of what was omitted, by their reasons. */
export function unpairedRows(omitted: ExportTally["omitted"]): Readonly<Record<string, number>> {
  const rows = Object.entries(omitted).filter(([part]) => part.startsWith(UNPAIRED));
  return Object.fromEntries(rows.map(([part, count]) => [part.slice(UNPAIRED.length), count]));
}
