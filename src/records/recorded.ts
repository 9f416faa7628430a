// What a run directory has recorded, read from the records themselves in one pass. A torn last line is cut, not trusted.

import { MatrixError } from "../error.ts";
import { IdSet } from "../task/id-set.ts";
import { RECORD_FORMAT, type TrajectoryRecord } from "../task/record.ts";
import { addSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import { openStoredLines, trajectoriesPath } from "./stored-lines.ts";

export interface Recorded {
  readonly ids: IdSet;
  readonly counts: { ok: number; failed: number; lost: number };
  /** Whether any of them says that a simulated model answered. */
  readonly simulated: boolean;
  /** What the records come to: the least that was spent on them. */
  readonly used: Spent;
  /** Where the last whole record ends. */
  readonly bytes: number;
  /** Bytes after it: a record that was being written when the process died. */
  readonly tornBytes: number;
}

/** Fails with `run_refused` when a line in the middle is no record, or one stands twice. */
export async function readRecorded(path: string): Promise<Recorded> {
  const ids = new IdSet();
  const counts = { ok: 0, failed: 0, lost: 0 };
  const { size, lines, close } = await openStoredLines(path);
  let simulated = false;
  let used = NOTHING_SPENT;
  let bytes = 0;
  try {
    for await (const batch of lines) {
      for (const { text, number, end, torn } of batch) {
        if (torn) return { ids, counts, simulated, used, bytes, tornBytes: size - bytes };
        const record = parseHead(text, path, number);
        if (!ids.add(record.id, record.trial))
          throw damaged(path, number, `row ${record.id}, trial ${record.trial} stands twice`);
        counts[record.status]++;
        simulated ||= record.simulated === true;
        used = addSpent(used, { ...NOTHING_SPENT, ...record.usage, cost: record.cost ?? 0 });
        bytes = end;
      }
    }
  } finally {
    await close();
  }
  return { ids, counts, simulated, used, bytes, tornBytes: size - bytes };
}

/** The whole records of a run directory, in batches; a torn last line is none. Fails with `run_refused` on a line that is no record. */
export async function* readRecords(directory: string): AsyncGenerator<readonly TrajectoryRecord[]> {
  const path = trajectoriesPath(directory);
  const { lines, close } = await openStoredLines(path);
  try {
    for await (const batch of lines) {
      const whole = batch.filter(({ torn }) => !torn);
      yield whole.map(({ text, number }) => parseHead(text, path, number) as TrajectoryRecord);
    }
  } finally {
    await close();
  }
}

type Head = Pick<TrajectoryRecord, "id" | "trial" | "status"> &
  Partial<Pick<TrajectoryRecord, "usage" | "cost" | "simulated">>;

/** The record, of which no more than the head was looked at. */
export function parseHead(text: string, path: string, line: number): Head {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged(path, line, "it is no JSON");
  }
  const { format, id, trial, status } = (value ?? {}) as Record<string, unknown>;
  if (format !== RECORD_FORMAT)
    throw damaged(path, line, `its format is ${JSON.stringify(format)}, not ${RECORD_FORMAT}`);
  if (
    typeof id !== "string" ||
    typeof trial !== "number" ||
    (status !== "ok" && status !== "failed" && status !== "lost")
  ) {
    throw damaged(path, line, "it has no id, trial and status");
  }
  return value as Head;
}

function damaged(path: string, line: number, what: string): MatrixError {
  return new MatrixError(
    "run_refused",
    `${path}:${line}: this line is no record of the run: ${what}`,
    {
      hint: "mend or remove the line, or start anew with --fresh (the old directory is kept aside)",
    },
  );
}
