// The selected records of an export, in order, each with the conversation that was made of it.

import type { Annotations } from "../records/annotations/annotation.ts";
import { AnnotationFile } from "../records/annotations/annotation-file.ts";
import { readRecords } from "../records/read-records.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { Unanswered } from "../task/task.ts";
import type { ExportFormat, Selected } from "./contract.ts";
import { candidatesIn, conversationOf, unansweredIn } from "./conversation.ts";
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
    const annotations = await new AnnotationFile(directory).read();
    for await (const records of readRecords(directory)) {
      const batch: Selected[] = [];
      for (const record of records) {
        const number = tally.records++;
        const judged = await judge(record, { perspective, annotations }, reads, selection);
        if (typeof judged === "string") tally.leftOut[judged]++;
        else {
          tally.add(record);
          batch.push({ number, run: manifest, record, ...judged });
        }
      }
      yield batch;
    }
  }
}

type Judged = Pick<Selected, "conversation" | "candidates">;

/** The conversations of a record, none when none is needed, or the reason for leaving it out. */
async function judge(
  record: TrajectoryRecord,
  { perspective, annotations }: Pick<Source, "perspective"> & { annotations: Annotations },
  reads: ExportFormat["reads"],
  selection: Selection,
): Promise<Judged | LeftOut> {
  const reason = selection.judge(record, annotations);
  if (reason !== null) return reason;
  if (perspective === null) return { conversation: null, candidates: () => [] };
  if (reads === "conversations" && !selection.takes(unansweredIn(record, perspective)))
    return "unanswered";
  const media = perspective.mediaOf === null ? [] : await perspective.mediaOf(record);
  const conversation = conversationOf(record, perspective, media);
  // A record without a conversation has nothing by which it could be a duplicate.
  if (conversation === null && reads === "conversations") return "no_trained_turn";
  const duplicate = conversation === null ? null : selection.admit(conversation);
  if (duplicate !== null) return duplicate;
  const takes = (reasons: readonly Unanswered[]) => selection.takes(reasons);
  return { conversation, candidates: () => candidatesIn(record, perspective, takes, media) };
}
