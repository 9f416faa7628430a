// Accounts for the files of a run, read without the program's own reader: how many records there
// are, which stand twice, which are missing, and which differ from those of an undisturbed run.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TrajectoryRecord } from "../../../src/task/record.ts";
import { comparableAfterKill } from "../../parts/records.ts";

export interface Accounting {
  readonly ok: number;
  readonly failed: number;
  readonly lost: number;
  /** Tasks whose row was started again. */
  readonly restarted: number;
  readonly attemptsMax: number;
  /** Violations of the promises, in words; the list is cut short. */
  readonly wrong: readonly string[];
}

export interface Rules {
  readonly rows: number;
  readonly trials: number;
  readonly delivery: "retry" | "at-most-once";
  /** Records of the same recipe that nothing disturbed, as `keyed` gives them. */
  readonly undisturbed: ReadonlyMap<string, string>;
}

const WRONG_MAX = 10;

/** Accounting of a run that is over: everything must be there, once. */
export function account(
  directory: string,
  { rows, trials, delivery, undisturbed }: Rules,
): Accounting {
  const records = readFinished(directory);
  const wrong: string[] = [];
  const seen = new Set<string>();
  const counts = { ok: 0, failed: 0, lost: 0 };
  for (const record of records) {
    const key = keyOf(record);
    if (seen.has(key)) wrong.push(`${key} stands twice`);
    seen.add(key);
    counts[record.status]++;
    if (record.status !== "ok") wrong.push(...whyNotOk(record, delivery));
    else if (essence(record) !== undisturbed.get(key))
      wrong.push(`${key} is not what it is without faults`);
    if (delivery === "at-most-once" && record.attempt !== 1)
      wrong.push(`${key} has attempt ${record.attempt} under at-most-once`);
  }
  for (const key of undisturbed.keys()) if (!seen.has(key)) wrong.push(`${key} is missing`);
  if (records.length !== rows * trials)
    wrong.push(`${records.length} records, ${rows * trials} expected`);
  const attempts = records.map(({ attempt }) => attempt);
  return {
    ...counts,
    restarted: attempts.filter((attempt) => attempt > 1).length,
    attemptsMax: Math.max(0, ...attempts),
    wrong:
      wrong.length > WRONG_MAX
        ? [...wrong.slice(0, WRONG_MAX), `and ${wrong.length - WRONG_MAX} more`]
        : wrong,
  };
}

/** Each record's essence by its row and trial. */
export function keyed(records: readonly TrajectoryRecord[]): ReadonlyMap<string, string> {
  return new Map(records.map((record) => [keyOf(record), essence(record)]));
}

/** Records of a run that no process writes any more: the last line must be whole. */
export function readFinished(directory: string): TrajectoryRecord[] {
  const text = readFileSync(join(directory, "trajectories.jsonl"), "utf8");
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line is torn");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as TrajectoryRecord);
}

const keyOf = ({ id, trial }: TrajectoryRecord) => `row ${id}, trial ${trial}`;

/** All of a record but times, hosts and how often it was started. */
function essence(record: TrajectoryRecord): string {
  return JSON.stringify(comparableAfterKill([record]));
}

function whyNotOk(record: TrajectoryRecord, delivery: Rules["delivery"]): string[] {
  const { status, stop_reason, error, score } = record;
  const what = `${keyOf(record)} is ${status}: ${error?.code}: ${error?.message}`;
  const isLoss = status === "lost" && stop_reason === "lost" && error !== null && score === null;
  return isLoss && delivery === "at-most-once" ? [] : [what];
}
