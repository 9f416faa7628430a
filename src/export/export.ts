// One export: the records of some run directories, one after the other, through selection and split into the files of a format.
// Nothing stands at its place before it is whole.

import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { MatrixError } from "../error.ts";
import { randomId } from "../random-id.ts";
import { type Card, renderCard } from "./card.ts";
import type { ExportFormat, ExportWriter, FormatOptions } from "./contract.ts";
import type { PerspectiveOptions } from "./perspective.ts";
import { openSources, type Source, selectRecords, Tally } from "./select.ts";
import type { LeftOut, SelectionRules } from "./selection.ts";
import { type Split, splitOf } from "./split.ts";
import { storageFailed } from "./storage.ts";

export interface ExportOptions {
  readonly directories: readonly string[];
  /** The name that --to takes. */
  readonly formatName: string;
  readonly format: ExportFormat;
  /** A file with one of the format's endings; anything else is a folder, with a file a split and a card. */
  readonly output: string;
  readonly splits: readonly Split[];
  readonly rules: SelectionRules;
  readonly perspective: PerspectiveOptions;
  /** An identifier of SPDX or of the hub, for the card. */
  readonly license: string | null;
  /** Replace what is there. */
  readonly force: boolean;
}

export interface ExportSummary {
  /** Those that were made, or the folder. */
  readonly files: readonly string[];
  readonly records: number;
  readonly left_out: Readonly<Record<LeftOut, number>>;
  /** By split. */
  readonly examples: Readonly<Record<string, number>>;
  readonly simulated: boolean;
}

/** Fails with `usage` before anything is written, with `storage_failed` later. */
export async function exportRuns(options: ExportOptions): Promise<ExportSummary> {
  const { format, output, splits, force } = options;
  const ending = format.endings.find((known) => output.endsWith(known));
  if (ending !== undefined && format.only === "folder")
    throw new MatrixError("usage", `${output} is one file, but this format is a folder`, {
      hint: "give a folder with -o",
    });
  if (ending === undefined && format.only === "file")
    throw new MatrixError(
      "usage",
      `${output} is no ${format.endings.join(" or ")} file, as this format is`,
      { hint: "name one with -o" },
    );
  if (ending !== undefined && splits.length > 1)
    throw new MatrixError("usage", `${output} is one file, but there are ${splits.length} splits`, {
      hint: "give a folder with -o",
    });
  if (existsSync(output) && !force) throw thereAlready(output);
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
    if (ending === undefined) await writeCard(options, folder, { sources, tally, splits: parts });
    const moves =
      ending === undefined
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

/** One file a split. */
async function writeFiles(
  { format, splits, rules, perspective }: ExportOptions,
  sources: readonly Source[],
  paths: readonly string[],
): Promise<{ tally: Tally; examples: readonly number[] }> {
  const how = optionsOf(perspective);
  const examples = splits.map(() => 0);
  const writers: ExportWriter[] = [];
  const tally = new Tally();
  try {
    for (const path of paths) writers.push(await format.open(path, how));
    const writerOf = (rowId: string) => writers[splitOf(rowId, splits)];
    if (writers.some(({ survey }) => survey !== undefined)) {
      for await (const batch of selectRecords(sources, format.reads, rules, new Tally()))
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

/** What a format adds to the name of its file stays: train-PART.json becomes OUTPUT-PART.json. */
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
  for (const { to } of moves) if (existsSync(to) && !force) throw thereAlready(to);
  for (const { from, to } of moves) {
    await rm(to, { recursive: true, force: true });
    await rename(from, to).catch(storageFailed(to));
  }
}

function thereAlready(path: string): MatrixError {
  return new MatrixError("usage", `${path} is there already`, { hint: "--force replaces it" });
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
  await writeFile(join(folder, "README.md"), card).catch(storageFailed(folder));
}

function optionsOf({ trainOn }: PerspectiveOptions): FormatOptions {
  return { masked: trainOn !== null };
}
