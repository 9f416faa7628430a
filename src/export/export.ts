// One export: records of run directories are selected, divided into splits and written to the files
// of a format. Files are written beside the output and moved to their place when all of them are
// complete.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { MatrixError } from "../error.ts";
import { randomId } from "../random-id.ts";
import { type Card, type CardSplit, renderCard } from "./card.ts";
import type { Omitted } from "./contract.ts";
import { storageFailed } from "./files/storage.ts";
import { endingOf, moveAll, movesOf, refuseExisting } from "./place.ts";
import type { LeftOut } from "./selection.ts";
import { openSources } from "./sources.ts";
import { type WriteOptions, writeFiles } from "./write-files.ts";

export interface ExportOptions extends WriteOptions {
  readonly directories: readonly string[];
  /** The name of the format, as --to takes it. */
  readonly formatName: string;
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
  /** Parts of the examples that the format has no place for. */
  readonly omitted: Readonly<Record<Omitted, number>>;
  /** The number of examples in each split. */
  readonly examples: Readonly<Record<string, number>>;
  readonly simulated: boolean;
}

/**
 * Exports the records. Fails with `usage` before anything is written, and with `storage_failed`
 * after that.
 */
export async function exportRuns(options: ExportOptions): Promise<ExportSummary> {
  const { format, splits } = options;
  const ending = endingOf(options);
  const output = options.output.replace(/(.)\/+$/, "$1");
  refuseExisting(output, options.force);
  if (options.structs && !format.structs)
    throw new MatrixError(
      "usage",
      `${options.formatName} has no columns of JSON: leave out --structs`,
    );
  const sources = await openSources(options);
  const folder = join(dirname(output), `.${basename(output)}.${randomId(8)}`);
  await mkdir(folder, { recursive: true }).catch(storageFailed(folder));
  try {
    const paths = splits.map(({ name }) => join(folder, `${name}${ending ?? format.endings[0]}`));
    const { tally, examples, how } = await writeFiles(options, sources, paths);
    const parts = splits.map(({ name }, index) => ({
      name,
      path: paths[index] ?? "",
      examples: examples[index] ?? 0,
    }));
    const filled = await withoutEmpty(parts);
    if (ending === null)
      await writeCard(options, folder, {
        columns: format.columns(how),
        sources,
        tally,
        splits: filled,
      });
    const moves =
      ending === null
        ? [{ from: folder, to: output }]
        : await movesOf(folder, paths[0] ?? "", output, ending);
    if (moves.length === 0)
      throw new MatrixError(
        "usage",
        `no record of these runs can be exported to ${options.formatName}`,
      );
    await moveAll(moves, options.force);
    return {
      files: moves.map(({ to }) => to),
      records: tally.records,
      left_out: tally.leftOut,
      omitted: tally.omitted,
      examples: Object.fromEntries(parts.map(({ name, examples }) => [name, examples])),
      simulated: tally.simulated,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The splits that have examples, or all when none has. The files of the others are removed, because
 * `datasets` refuses a whole dataset for the sake of an empty split.
 */
async function withoutEmpty(splits: readonly CardSplit[]): Promise<readonly CardSplit[]> {
  const filled = splits.filter(({ examples }) => examples > 0);
  if (filled.length === 0) return splits;
  for (const { examples, path } of splits) if (examples === 0) await rm(path, { force: true });
  return filled;
}

async function writeCard(
  { output, formatName, license }: ExportOptions,
  folder: string,
  rest: Pick<Card, "columns" | "sources" | "tally" | "splits">,
): Promise<void> {
  const name = basename(resolve(output));
  const card = await renderCard({ name, format: formatName, license, ...rest });
  const path = join(folder, "README.md");
  // A link that stands there is replaced, and not followed.
  await rm(path, { force: true });
  await writeFile(path, card, { flag: "wx" }).catch(storageFailed(folder));
}
