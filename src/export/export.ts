// One export: records of run directories are selected, divided into splits and written to the files
// of a format. Files are written beside the output and moved to their place when all of them are
// complete.

import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { MatrixError } from "../error.ts";
import { randomId } from "../random-id.ts";
import { type Card, renderCard } from "./card.ts";
import type { ExportFormat, ExportWriter, FormatOptions } from "./contract.ts";
import type { PerspectiveOptions } from "./perspective.ts";
import { selectRecords } from "./selected-records.ts";
import type { LeftOut, SelectionRules } from "./selection.ts";
import { openSources, type Source } from "./sources.ts";
import { type Split, splitOf } from "./split.ts";
import { storageFailed } from "./storage.ts";
import { ExportTally } from "./tally.ts";

export interface ExportOptions {
  readonly directories: readonly string[];
  /** The name of the format, as --to takes it. */
  readonly formatName: string;
  readonly format: ExportFormat;
  /**
   * A file, if it has one of the format's endings; else a folder with a file for each split and a
   * card.
   */
  readonly output: string;
  readonly splits: readonly Split[];
  readonly rules: SelectionRules;
  readonly perspective: PerspectiveOptions;
  /** The dataset's licence for the card, by its identifier at SPDX or on the hub. */
  readonly license: string | null;
  /** True to replace files that exist. */
  readonly force: boolean;
}

export interface ExportSummary {
  /** The files that were written, or the folder. */
  readonly files: readonly string[];
  readonly records: number;
  readonly left_out: Readonly<Record<LeftOut, number>>;
  /** The number of examples in each split. */
  readonly examples: Readonly<Record<string, number>>;
  readonly simulated: boolean;
}

/**
 * Exports the records. Fails with `usage` before anything is written, and with `storage_failed`
 * after that.
 */
export async function exportRuns(options: ExportOptions): Promise<ExportSummary> {
  const { format, output, splits } = options;
  const ending = endingOf(options);
  if (existsSync(output) && !options.force) throw existsAlready(output);
  const sources = await openSources(options);
  const folder = join(dirname(output), `.${basename(output)}.${randomId(8)}`);
  try {
    await mkdir(folder, { recursive: true }).catch(storageFailed(folder));
    const paths = splits.map(({ name }) => join(folder, `${name}${ending ?? format.endings[0]}`));
    const { tally, examples } = await writeFiles(options, sources, paths);
    const parts = splits.map(({ name }, index) => ({
      name,
      path: paths[index] ?? "",
      examples: examples[index] ?? 0,
    }));
    if (ending === null) await writeCard(options, folder, { sources, tally, splits: parts });
    const moves =
      ending === null
        ? [{ from: folder, to: output }]
        : await movesOf(folder, paths[0] ?? "", output, ending);
    await moveAll(moves, options);
    return {
      files: moves.map(({ to }) => to),
      records: tally.records,
      left_out: tally.leftOut,
      examples: Object.fromEntries(parts.map(({ name, examples }) => [name, examples])),
      simulated: tally.simulated,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The ending of the file that the output names; null for a folder. */
function endingOf({ output, format, formatName, splits }: ExportOptions): string | null {
  const ending = format.endings.find((known) => output.endsWith(known)) ?? null;
  if (ending !== null && format.only === "folder")
    throw new MatrixError("usage", `${output} names a file, but ${formatName} is a folder`, {
      hint: "name a folder with -o",
    });
  if (ending === null && format.only === "file") {
    const endings = format.endings.join(" or ");
    throw new MatrixError("usage", `${output} does not name a ${endings} file`, {
      hint: `${formatName} is written to such a file; name one with -o`,
    });
  }
  if (ending !== null && splits.length > 1)
    throw new MatrixError(
      "usage",
      `${output} is one file and cannot hold ${splits.length} splits`,
      {
        hint: "name a folder with -o",
      },
    );
  return ending;
}

/** Writes one file for each split. */
async function writeFiles(
  { format, splits, rules, perspective }: ExportOptions,
  sources: readonly Source[],
  paths: readonly string[],
): Promise<{ tally: ExportTally; examples: readonly number[] }> {
  const how = optionsOf(perspective);
  const examples = splits.map(() => 0);
  const writers: ExportWriter[] = [];
  const tally = new ExportTally();
  try {
    for (const path of paths) writers.push(await format.open(path, how));
    const writerOf = (rowId: string) => writers[splitOf(rowId, splits)];
    if (writers.some(({ survey }) => survey !== undefined)) {
      for await (const batch of selectRecords(sources, format.reads, rules, new ExportTally()))
        for (const selected of batch) writerOf(selected.record.id)?.survey?.(selected);
    }
    for await (const batch of selectRecords(sources, format.reads, rules, tally)) {
      for (const selected of batch) {
        const index = splitOf(selected.record.id, splits);
        examples[index] = (examples[index] ?? 0) + ((await writers[index]?.add(selected)) ?? 0);
      }
    }
  } finally {
    for (const writer of writers) await writer.close();
  }
  return { tally, examples };
}

interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * A part that a format adds to the name of its file is kept: train-PART.json becomes
 * OUTPUT-PART.json.
 */
async function movesOf(
  folder: string,
  path: string,
  output: string,
  ending: string,
): Promise<readonly Move[]> {
  const [name, stem] = [basename(path, ending), output.slice(0, -ending.length)];
  return (await readdir(folder))
    .sort()
    .map((file) => ({ from: join(folder, file), to: `${stem}${file.slice(name.length)}` }));
}

async function moveAll(
  moves: readonly Move[],
  { formatName, force }: ExportOptions,
): Promise<void> {
  if (moves.length === 0)
    throw new MatrixError("usage", `no record of these runs can be exported to ${formatName}`);
  for (const { to } of moves) if (existsSync(to) && !force) throw existsAlready(to);
  for (const { from, to } of moves) {
    await rm(to, { recursive: true, force: true });
    await rename(from, to).catch(storageFailed(to));
  }
}

function existsAlready(path: string): MatrixError {
  return new MatrixError("usage", `${path} exists already`, { hint: "--force replaces it" });
}

async function writeCard(
  { output, formatName, format, license, perspective }: ExportOptions,
  folder: string,
  rest: Pick<Card, "sources" | "tally" | "splits">,
): Promise<void> {
  const columns = format.columns(optionsOf(perspective));
  const card = await renderCard({
    name: basename(resolve(output)),
    format: formatName,
    columns,
    license,
    ...rest,
  });
  const path = join(folder, "README.md");
  // A link that stands there is replaced, and not followed.
  await rm(path, { force: true });
  await writeFile(path, card, { flag: "wx" }).catch(storageFailed(folder));
}

function optionsOf({ trainOn }: PerspectiveOptions): FormatOptions {
  return { masked: trainOn !== null };
}
