// The tasks of a run that have a record already, and the sums over those records. A continued run
// reads them from the records themselves, in one pass, and never from the manifest, which may lag
// behind.

import { IdSet } from "../task/id-set.ts";
import { addSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import { damagedRecord, parseHead } from "./read-records.ts";
import { openRecordFile } from "./record-file.ts";

export interface RecordedTasks {
  /** Every (row id, trial) that has a record. */
  readonly ids: IdSet;
  readonly counts: { ok: number; failed: number; lost: number };
  /** Number of failed and lost records by error code. */
  readonly errors: Readonly<Record<string, number>>;
  /** True when any record says that a simulated model answered. */
  readonly simulated: boolean;
  /** Sum over the records: a lower bound of what the run has spent. */
  readonly used: Spent;
  /** Byte offset where the last whole record ends. */
  readonly bytes: number;
  /** Bytes after it: a record that was being written when the process died. */
  readonly tornBytes: number;
}

/**
 * `path`: the file of the records. Fails with `run_refused` on a line that is not a record, or is
 * there twice.
 */
export async function readRecordedTasks(path: string): Promise<RecordedTasks> {
  const ids = new IdSet();
  const counts = { ok: 0, failed: 0, lost: 0 };
  const errors: Record<string, number> = {};
  const { size, lines, close } = await openRecordFile(path);
  let simulated = false;
  let used = NOTHING_SPENT;
  let bytes = 0;
  try {
    for await (const batch of lines) {
      for (const { text, number, end, torn } of batch) {
        if (torn) return { ids, counts, errors, simulated, used, bytes, tornBytes: size - bytes };
        const record = parseHead(text, path, number);
        if (!ids.add(record.id, record.trial))
          throw damagedRecord(
            path,
            number,
            `row ${record.id}, trial ${record.trial} is there twice`,
          );
        counts[record.status]++;
        if (record.error != null) errors[record.error.code] = (errors[record.error.code] ?? 0) + 1;
        simulated ||= record.simulated === true;
        used = addSpent(used, { ...NOTHING_SPENT, ...record.usage, cost: record.cost ?? 0 });
        bytes = end;
      }
    }
  } finally {
    await close();
  }
  return { ids, counts, errors, simulated, used, bytes, tornBytes: size - bytes };
}
