// `matrix show DIR [ID]` prints one whole trajectory in readable form, lists or groups those that a
// filter lets through, and shows how two records or two runs differ.

import { Command, Option } from "commander";
import { EXIT, MatrixError } from "../error.ts";
import { masked, maskedJson, maskedValue } from "../known-secrets.ts";
import { readManifest } from "../records/manifest.ts";
import { recordOf } from "../records/read-records.ts";
import { openRecordFile, trajectoriesPath } from "../records/record-file.ts";
import { parseJson } from "../task/exact.ts";
import { printable } from "../task/printable.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { STOP_REASONS } from "../task/task.ts";
import { jsonOption, wholeNumber } from "./flags.ts";
import { compareRuns } from "./show/run-pair.ts";
import { type Filter, Selection } from "./show/selection.ts";
import { renderGroups, renderList } from "./text/listing.ts";
import { renderRecord } from "./text/record.ts";
import { recordDifferences, renderDifferences } from "./text/record-pair.ts";
import { renderRunPair } from "./text/run-pair.ts";

interface ShowFlags extends Filter {
  readonly trial: number;
  readonly limit?: number;
  readonly group?: boolean;
  readonly next?: boolean;
  readonly previous?: boolean;
  readonly full?: boolean;
  readonly json?: boolean;
}

/** Records in a list without --limit. */
const LIMIT_DEFAULT = 20;

export function showCommand(): Command {
  return new Command("show")
    .description(
      "print one trajectory in readable form, list or group those that match, or compare two",
    )
    .argument("<dir>", "the run directory")
    .argument("[id]", "id of the row; without it, the first record that matches is printed")
    .argument(
      "[other]",
      "id of another row to compare with; with two run directories, leave it out",
    )
    .addOption(
      new Option("--trial <n>", "trial of the row, from 0")
        .env("MATRIX_TRIAL")
        .argParser(wholeNumber)
        .default(0),
    )
    .addOption(
      new Option("--status <status>", "only records with this status")
        .env("MATRIX_STATUS")
        .choices(["ok", "failed", "lost"]),
    )
    .addOption(
      new Option("--stop-reason <reason>", "only records that ended for this reason")
        .env("MATRIX_STOP_REASON")
        .choices(STOP_REASONS),
    )
    .addOption(
      new Option("--error <code>", "only records with this error code").env("MATRIX_ERROR"),
    )
    .addOption(
      new Option(
        "--where <expression>",
        "only records for which this CEL expression over the record is true",
      ).env("MATRIX_WHERE"),
    )
    .addOption(
      new Option("--sort <column>", "list by this column, the largest first with a - before it")
        .env("MATRIX_SORT")
        .argParser((text) => text),
    )
    .addOption(
      new Option("--limit <n>", "list this many records, one a line")
        .env("MATRIX_LIMIT")
        .argParser(wholeNumber),
    )
    .addOption(new Option("--group", "list failures by error code and message").env("MATRIX_GROUP"))
    .addOption(new Option("--next", "print the record after this one").env("MATRIX_NEXT"))
    .addOption(new Option("--previous", "print the record before this one").env("MATRIX_PREVIOUS"))
    .addOption(new Option("--full", "do not cut long texts").env("MATRIX_FULL"))
    .addOption(jsonOption("print the line of the record as it is, or one object"))
    .action(show);
}

async function show(
  directory: string,
  id: string | undefined,
  other: string | undefined,
  flags: ShowFlags,
): Promise<void> {
  if (id !== undefined && other === undefined && (await isRun(id)))
    return showPair(directory, id, flags);
  const { next, previous, sort, limit, group } = flags;
  const isPlain = id === undefined && !Selection.isNeeded(flags);
  if (isPlain && sort === undefined && limit === undefined && group !== true) {
    printRecord(await firstLine(trajectoriesPath(directory)), flags);
    return;
  }
  await using selection = await Selection.open(directory);
  if (id !== undefined && other !== undefined) {
    const [a, b] = [
      await selection.line(id, flags.trial),
      await selection.line(other, flags.trial),
    ];
    return showDifferences(recordIn(a), recordIn(b), flags);
  }
  if (id !== undefined) {
    const step = (next === true ? 1 : 0) - (previous === true ? 1 : 0);
    const n = await selection.place(id, flags.trial);
    printRecord(
      await selection.lineAt(step === 0 ? n : await selection.beside(n, step, flags)),
      flags,
    );
    return;
  }
  if (group === true) {
    const groups = await selection.groups(flags);
    print(flags, { groups }, () => renderGroups(groups));
    return;
  }
  if (sort !== undefined || limit !== undefined) {
    const list = await selection.list(flags, limit ?? LIMIT_DEFAULT);
    print(flags, list, () => renderList(list));
    return;
  }
  printRecord(await selection.lineAt(await selection.first(flags)), flags);
}

async function isRun(path: string): Promise<boolean> {
  return (await readManifest(path).catch(() => null)) !== null;
}

async function showPair(a: string, b: string, flags: ShowFlags): Promise<void> {
  const compared = await compareRuns(a, b);
  print(flags, compared, () => renderRunPair(compared));
}

function showDifferences(a: TrajectoryRecord, b: TrajectoryRecord, flags: ShowFlags): void {
  const differences = recordDifferences(a, b);
  print(flags, { differences }, () => renderDifferences(differences, flags.full === true));
  process.exitCode = EXIT.complete;
}

function recordIn(line: string): TrajectoryRecord {
  return maskedValue(parseJson(line) as TrajectoryRecord);
}

function print(flags: ShowFlags, value: object, render: () => string): void {
  console.log(
    printable(flags.json === true ? JSON.stringify(maskedValue(value)) : masked(render())),
  );
}

function printRecord(line: string, { json, full }: ShowFlags): void {
  const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
  const record = () => parseJson(line) as TrajectoryRecord;
  console.log(
    json === true
      ? lineFor(process.stdout, maskedJson(line))
      : masked(renderRecord(record(), { full: full === true, colour })),
  );
}

/** A terminal gets the same JSON, with the characters escaped that could deceive its reader. */
function lineFor({ isTTY }: { readonly isTTY?: boolean }, line: string): string {
  return isTTY === true ? printable(line) : line;
}

async function firstLine(path: string): Promise<string> {
  const { lines, close } = await openRecordFile(path);
  try {
    for await (const batch of lines) {
      for (const line of batch) {
        if (line.torn) continue;
        const record = recordOf(line, path);
        return line.overlong === undefined ? line.text : JSON.stringify(record);
      }
    }
  } finally {
    await close();
  }
  throw new MatrixError("usage", `no records in ${path}`);
}
