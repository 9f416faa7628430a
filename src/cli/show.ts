// `matrix show DIR [ID]` prints one whole trajectory in readable form.

import { Command, Option } from "commander";
import { MatrixError } from "../error.ts";
import { masked, maskedJson } from "../known-secrets.ts";
import { recordOf } from "../records/read-records.ts";
import { openRecordFile, trajectoriesPath } from "../records/record-file.ts";
import { parseJson } from "../task/exact.ts";
import { printable } from "../task/printable.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { jsonOption, wholeNumber } from "./flags.ts";
import { renderRecord } from "./text/record.ts";

interface ShowFlags {
  readonly trial: number;
  readonly status?: string;
  readonly full?: boolean;
  readonly json?: boolean;
}

/** Ids that an error lists when no record fits. */
const IDS_SHOWN = 5;

export function showCommand(): Command {
  return new Command("show")
    .description("print one trajectory in readable form: that of the id, or else the first one")
    .argument("<dir>", "the run directory")
    .argument("[id]", "id of the row")
    .addOption(
      new Option("--trial <n>", "trial of the row, from 0")
        .env("MATRIX_TRIAL")
        .argParser(wholeNumber)
        .default(0),
    )
    .addOption(
      new Option("--status <status>", "print the first trajectory with this status")
        .env("MATRIX_STATUS")
        .choices(["ok", "failed", "lost"]),
    )
    .addOption(new Option("--full", "do not cut long texts").env("MATRIX_FULL"))
    .addOption(jsonOption("print the line of the record as it is"))
    .action(async (directory: string, id: string | undefined, flags: ShowFlags) => {
      const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
      const line = await findLine(trajectoriesPath(directory), id, flags);
      console.log(
        flags.json === true
          ? lineFor(process.stdout, maskedJson(line))
          : masked(
              renderRecord(parseJson(line) as TrajectoryRecord, {
                full: flags.full === true,
                colour,
              }),
            ),
      );
    });
}

/** A terminal gets the same JSON, with the characters escaped that could deceive its reader. */
function lineFor({ isTTY }: { readonly isTTY?: boolean }, line: string): string {
  return isTTY === true ? printable(line) : line;
}

async function findLine(
  path: string,
  id: string | undefined,
  { trial, status }: ShowFlags,
): Promise<string> {
  const { lines, size, close } = await openRecordFile(path);
  const ids = new Set<string>();
  const statuses = new Set<string>();
  try {
    for await (const batch of lines) {
      for (const line of batch) {
        if (line.torn) continue;
        const record = recordOf(line, path);
        const wanted =
          id === undefined
            ? status === undefined || record.status === status
            : record.id === id && record.trial === trial;
        if (wanted) return line.overlong === undefined ? line.text : JSON.stringify(record);
        statuses.add(record.status);
        if (ids.size < IDS_SHOWN) ids.add(record.id);
      }
    }
  } finally {
    await close();
  }
  if (size === 0) throw new MatrixError("usage", `no records in ${path}`);
  if (id === undefined)
    throw new MatrixError("usage", `no record with status ${status} in ${path}`, {
      hint: `its records have the status ${[...statuses].join(" or ")}`,
    });
  throw new MatrixError("usage", `no record of row ${id}, trial ${trial} in ${path}`, {
    hint: `it has rows like ${[...ids].join(", ")}`,
  });
}
