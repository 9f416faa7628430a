// The records of the runs of an export, in order, those that were selected with the conversation that was made of them.

import { MatrixError } from "../error.ts";
import { type Manifest, readManifest } from "../records/manifest.ts";
import { readRecords } from "../records/read-records.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import type { ExportFormat, Selected } from "./contract.ts";
import { conversationOf, unansweredIn } from "./conversation.ts";
import { createPerspective, type Perspective, type PerspectiveOptions } from "./perspective.ts";
import { LEFT_OUT, type LeftOut, Selection, type SelectionRules } from "./selection.ts";

export interface Source {
  readonly directory: string;
  readonly manifest: Manifest;
  /** Null where records are read whatever their roles. */
  readonly perspective: Perspective | null;
}

export interface SourceOptions {
  readonly directories: readonly string[];
  readonly format: ExportFormat;
  readonly rules: SelectionRules;
  readonly perspective: PerspectiveOptions;
}

/** Fails with `usage`. */
export async function openSources({
  directories,
  format,
  rules,
  perspective,
}: SourceOptions): Promise<readonly Source[]> {
  const conversations = format.reads === "conversations" || rules.dedupe !== null;
  const sources: Source[] = [];
  for (const directory of directories) {
    const manifest = await readManifest(directory);
    if (manifest === null)
      throw new MatrixError("usage", `${directory} is no run directory: it has no manifest.json`);
    sources.push({
      directory,
      manifest,
      perspective: conversations ? await createPerspective(directory, manifest, perspective) : null,
    });
  }
  return sources;
}

/** What became of the records of an export. */
export class Tally {
  records = 0;
  /** Whether any selected answer came from a simulated model. */
  simulated = false;
  readonly leftOut = Object.fromEntries(LEFT_OUT.map((reason) => [reason, 0])) as Record<
    LeftOut,
    number
  >;
  /** Answers in the selected records, by model. */
  readonly models = new Map<string, { answers: number; completionTokens: number }>();

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

/** In batches. What is left out and what is not goes into `tally`. */
export async function* selectRecords(
  sources: readonly Source[],
  reads: ExportFormat["reads"],
  rules: SelectionRules,
  tally: Tally,
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

/** The conversation, null where none is wanted, or why the record is left out. */
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
  // Of a record that has no conversation, there is nothing to compare.
  if (conversation === null) return reads === "conversations" ? "no_trained_turn" : null;
  return selection.admit(conversation) ?? conversation;
}
