// The files of an export, one for each split: the format's writers are given the selected records.

import { basename } from "node:path";
import type { Expression } from "../recipe/expression/expression.ts";
import type { ExportFormat, ExportWriter, FormatOptions, Medium, Selected } from "./contract.ts";
import { omitMedia } from "./media.ts";
import type { PerspectiveOptions } from "./perspective.ts";
import { selectRecords } from "./selected-records.ts";
import type { SelectionRules } from "./selection.ts";
import type { Source } from "./sources.ts";
import { type Split, splitOf } from "./split.ts";
import { ExportTally } from "./tally.ts";

export interface WriteOptions {
  readonly format: ExportFormat;
  /**
   * A file, if it has one of the format's endings; else a folder with a file for each split and a
   * card. A path that ends with a slash is a folder.
   */
  readonly output: string;
  readonly splits: readonly Split[];
  readonly rules: SelectionRules;
  readonly perspective: PerspectiveOptions;
  /** True for columns of plain structs and text in place of columns of JSON. */
  readonly structs: boolean;
  /** The score from which on an example is a good one. */
  readonly goodScore: number;
  /** An expression over a record that gives the right answer; null to look for one in the row. */
  readonly groundTruth: Expression | null;
}

export interface Written {
  readonly tally: ExportTally;
  /** The number of examples of each file. */
  readonly examples: readonly number[];
  readonly how: FormatOptions;
}

/** Writes one file for each split. */
export async function writeFiles(
  options: WriteOptions,
  sources: readonly Source[],
  paths: readonly string[],
): Promise<Written> {
  const { format, splits, rules } = options;
  const tally = new ExportTally();
  const read = (into: ExportTally) => selectRecords(sources, format.reads, rules, into);
  const how = formatOptions(options, await mediaIn(sources, read), tally);
  const examples = splits.map(() => 0);
  const writers: ExportWriter[] = [];
  try {
    for (const path of paths) writers.push(await format.open(path, how));
    const writerOf = (rowId: string) => writers[splitOf(rowId, splits)];
    if (writers.some(({ survey }) => survey !== undefined)) {
      for await (const batch of read(new ExportTally()))
        for (const selected of batch) writerOf(selected.record.id)?.survey?.(selected);
    }
    for await (const batch of read(tally)) {
      for (const selected of batch) {
        omitMedia(selected.conversation?.unplaced ?? [], how);
        const index = splitOf(selected.record.id, splits);
        examples[index] = (examples[index] ?? 0) + ((await writers[index]?.add(selected)) ?? 0);
      }
    }
  } finally {
    for (const writer of writers) await writer.close();
  }
  return { tally, examples, how };
}

/**
 * The kinds of media in the conversations. Files declare their columns before the first row, so
 * the records are read for it when a role has attachments.
 */
async function mediaIn(
  sources: readonly Source[],
  read: (into: ExportTally) => AsyncGenerator<readonly Selected[]>,
): Promise<FormatOptions["media"]> {
  const kinds = new Set<Medium["kind"]>();
  if (sources.every(({ perspective }) => (perspective?.mediaOf ?? null) === null)) return kinds;
  for await (const batch of read(new ExportTally()))
    for (const { conversation } of batch)
      for (const { media = [] } of conversation?.turns ?? [])
        for (const { kind } of media) kinds.add(kind);
  return kinds;
}

function formatOptions(
  { perspective, structs, goodScore, groundTruth, output, format }: WriteOptions,
  media: FormatOptions["media"],
  tally: ExportTally,
): FormatOptions {
  const ending = format.endings.find((known) => output.endsWith(known));
  return {
    masked: perspective.trainOn !== null,
    structs,
    media,
    goodScore,
    groundTruth,
    outputName: ending === undefined ? null : basename(output, ending),
    omit: (part, count) => {
      tally.omitted[part] += count;
    },
  };
}
