// Reads the records of a run directory, in the order of the file. A line in the middle that is no
// record is an error that names its place; a torn last line is skipped.

import { MatrixError } from "../error.ts";
import { isTooDeep } from "../task/depth.ts";
import { parseJson } from "../task/exact.ts";
import { RECORD_FORMAT, type TrajectoryRecord } from "../task/record.ts";
import { NO_USAGE } from "../task/spent.ts";
import { RECORD_DEPTH_MAX, RECORD_TOO_DEEP } from "./check-record.ts";
import { type FileLine, openRecordFile, trajectoriesPath } from "./record-file.ts";

/**
 * Yields the whole records in batches, after `see` was called with the line of each. `seeTorn` is
 * called when the last line is cut off. Fails with `run_refused` on a line that is not a record.
 */
export async function* readRecords(
  directory: string,
  see: (line: string) => void = () => undefined,
  seeTorn: () => void = () => undefined,
): AsyncGenerator<readonly TrajectoryRecord[]> {
  const path = trajectoriesPath(directory);
  const { lines, close } = await openRecordFile(path);
  try {
    for await (const batch of lines) {
      const whole = batch.filter(({ torn }) => !torn);
      if (whole.length < batch.length) seeTorn();
      for (const { text } of whole) see(text);
      yield whole.map((line) => recordOf(line, path));
    }
  } finally {
    await close();
  }
}

/** The record of a line, or a failed one in the place of a record that is too long to be read. */
export function recordOf(line: FileLine, path: string): TrajectoryRecord {
  return line.overlong === undefined
    ? (parseHead(line, path) as TrajectoryRecord)
    : standInFor(line, path);
}

/** The members of a record that are read from its line. */
export type Head = Pick<TrajectoryRecord, "id" | "trial" | "status"> &
  Partial<
    Pick<
      TrajectoryRecord,
      "attempt" | "stop_reason" | "error" | "usage" | "cost" | "score" | "simulated" | "history"
    >
  >;

/**
 * Parses a line and checks format, id, trial and status. The other fields are not looked at. A line
 * that is too long to be read gives what stands at its beginning.
 */
export function parseHead(
  { text, number: line, overlong }: Pick<FileLine, "text" | "number" | "overlong">,
  path: string,
): Head {
  if (overlong !== undefined) return beginningOf(text, path, line);
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    throw damagedRecord(path, line, "it is not JSON");
  }
  if (isTooDeep(value, RECORD_DEPTH_MAX)) throw damagedRecord(path, line, RECORD_TOO_DEEP);
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

/** Parses the members that come first in a line of this program. */
function beginningOf(text: string, path: string, line: number): BeginningOfRecord {
  const [, head] = BEGINNING.exec(text) ?? [];
  if (head === undefined)
    throw damagedRecord(path, line, "it is too long to be read, and does not begin as a record");
  return parseHead({ text: `${head}}`, number: line }, path) as BeginningOfRecord;
}

const BEGINNING =
  /^(\{"format":"[^"]*","id":"(?:[^"\\]|\\.)*","trial":\d+,"seed":\d+,"attempt":\d+,"status":"\w+","stop_reason":"\w+"),/;
type BeginningOfRecord = Pick<
  TrajectoryRecord,
  "format" | "id" | "trial" | "seed" | "attempt" | "status" | "stop_reason"
>;

function standInFor({ text, number, overlong = 0 }: FileLine, path: string): TrajectoryRecord {
  const mebibytes = Math.ceil(overlong / 2 ** 20);
  const message = `${path}:${number}: the record has ${mebibytes} MiB and is too long to be read`;
  const ending = {
    status: "failed",
    stop_reason: "error",
    score: null,
    outcome: null,
    error: { code: "task_too_large", message, role: null, hop: null },
  } as const;
  const began = new Date(0).toISOString();
  return {
    ...beginningOf(text, path, number),
    ...ending,
    simulated: false,
    row: {},
    history: [],
    usage: NO_USAGE,
    cost: null,
    timing: { admitted_at: began, ended_at: began, total_ms: 0, queue_ms: 0, run_ms: 0 },
    trace_id: null,
  };
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
