// The selected records of an export, in order, each with the conversation that was made of it.

import { readRecords } from "../records/read-records.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { ExportFormat, Selected } from "./contract.ts";
import { conversationOf, unansweredIn } from "./conversation.ts";
import type { Perspective } from "./perspective.ts";
import { type LeftOut, Selection, type SelectionRules } from "./selection.ts";
import type { Source } from "./sources.ts";
import type { ExportTally } from "./tally.ts";

/** Batches of selected records. Every record is counted in `tally`, selected or left out. */
export async function* selectRecords(
  sources: readonly Source[],
  reads: ExportFormat["reads"],
  rules: SelectionRules,
  tally: ExportTally,
): AsyncGenerator<readonly Selected[]> {
  const selection = new Selection(rules);
  for (const { directory, manifest, perspective } of sources) {
    for await (const records of readRecords(directory)) {
      const batch: Selected[] = [];
      for (const record of records) {
        const number = tally.records++;
        const judged = judge(record, perspective, reads, selection);
        if (typeof judged === "string") tally.leftOut[judged]++;
        else {
          tally.add(record);
          batch.push({ number, run: manifest, record, conversation: judged });
        }
      }
      yield batch;
    }
  }
}

/**
 * The conversation of a record, null when none is needed, or the reason for leaving the record out.
 */
function judge(
  record: TrajectoryRecord,
  perspective: Perspective | null,
  reads: ExportFormat["reads"],
  selection: Selection,
): Selected["conversation"] | LeftOut {
  const reason = selection.judge(record);
  if (reason !== null) return reason;
  if (perspective === null) return null;
  if (reads === "conversations" && !selection.takes(unansweredIn(record, perspective)))
    return "unanswered";
  const conversation = conversationOf(record, perspective);
  // A record without a conversation has nothing by which it could be a duplicate.
  if (conversation === null) return reads === "conversations" ? "no_trained_turn" : null;
  return selection.admit(conversation) ?? conversation;
}
