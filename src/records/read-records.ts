// Reads the records of a run directory, in the order of the file. A line in the middle that is no
// record is an error that names its place; a torn last line is skipped.

import { MatrixError } from "../error.ts";
import { parseJson } from "../task/exact.ts";
import { RECORD_FORMAT, type TrajectoryRecord } from "../task/record.ts";
import { openRecordFile, trajectoriesPath } from "./record-file.ts";

/** Yields the whole records in batches. Fails with `run_refused` on a line that is not a record. */
export async function* readRecords(directory: string): AsyncGenerator<readonly TrajectoryRecord[]> {
  const path = trajectoriesPath(directory);
  const { lines, close } = await openRecordFile(path);
  try {
    for await (const batch of lines) {
      const whole = batch.filter(({ torn }) => !torn);
      yield whole.map(({ text, number }) => parseHead(text, path, number) as TrajectoryRecord);
    }
  } finally {
    await close();
  }
}

/** The members of a record that are read from its line. */
export type Head = Pick<TrajectoryRecord, "id" | "trial" | "status"> &
  Partial<
    Pick<
      TrajectoryRecord,
      "attempt" | "stop_reason" | "error" | "usage" | "cost" | "score" | "simulated" | "history"
    >
  >;

/** Parses a line and checks format, id, trial and status. The other fields are not looked at. */
export function parseHead(text: string, path: string, line: number): Head {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    throw damagedRecord(path, line, "it is not JSON");
  }
  const { format, id, trial, status } = (value ?? {}) as Record<string, unknown>;
  if (format !== RECORD_FORMAT)
    throw damagedRecord(
      path,
      line,
      `its format is ${JSON.stringify(format)}, not ${RECORD_FORMAT}`,
    );
  if (
    typeof id !== "string" ||
    typeof trial !== "number" ||
    (status !== "ok" && status !== "failed" && status !== "lost")
  ) {
    throw damagedRecord(path, line, "it has no id, trial and status");
  }
  return value as Head;
}

/** The beginning of a line as this program writes it. It saves parsing the rest of the line. */
const HEAD = /^\{"format":"matrix-trajectory-1","id":("(?:[^"\\]|\\.)*"),"trial":(\d+),/;

export function quickHeadOf(text: string): { readonly id: string; readonly trial: number } | null {
  const [, id, trial] = HEAD.exec(text) ?? [];
  return id === undefined ? null : { id: JSON.parse(id) as string, trial: Number(trial) };
}

export function damagedRecord(path: string, line: number, what: string): MatrixError {
  return new MatrixError(
    "run_refused",
    `${path}:${line}: this line is not a record of the run: ${what}`,
    {
      hint: "mend or remove the line, or start anew with --fresh (the old directory is kept aside)",
    },
  );
}
