// The tasks of a run that have a record already, and the sums over those records. A continued run
// reads them from the records themselves, in one pass, and never from the manifest, which may lag
// behind.

import { IdSet } from "../task/id-set.ts";
import { addSpent, NO_USAGE, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import { RunningTally } from "../task/tally.ts";
import { damagedRecord, type Head, parseHead } from "./read-records.ts";
import { openRecordFile } from "./record-file.ts";

export interface RecordedTasks {
  /** Every (row id, trial) that has a record. */
  readonly ids: IdSet;
  readonly tally: RunningTally;
  /** Number of failed and lost records by error code. */
  readonly errors: Readonly<Record<string, number>>;
  /** True when any record says that a simulated model answered. */
  readonly simulated: boolean;
  /** Sum of what the run has paid for the records: a lower bound of what it has spent. */
  readonly used: Spent;
  /** Byte offset where the last whole record ends. */
  readonly bytes: number;
  /** Bytes after it: a record that was being written when the process died. */
  readonly tornBytes: number;
}

/** The part of a record's usage and cost that this run has paid for. */
export type PaidFor = (record: Head) => Spent;

/** All of it. A replay takes answers from records that another run has paid for. */
export const costOf: PaidFor = ({ usage, cost }) => ({
  ...NOTHING_SPENT,
  ...usage,
  cost: cost ?? 0,
});

/**
 * `path`: the file of the records. Fails with `run_refused` on a line that is not a record, or is
 * there twice.
 */
export async function readRecordedTasks(
  path: string,
  paidFor: PaidFor = costOf,
): Promise<RecordedTasks> {
  const ids = new IdSet();
  const tally = new RunningTally();
  const errors: Record<string, number> = {};
  const { size, lines, close } = await openRecordFile(path);
  let simulated = false;
  let used = NOTHING_SPENT;
  let bytes = 0;
  const read = (): RecordedTasks => {
    return { ids, tally, errors, simulated, used, bytes, tornBytes: size - bytes };
  };
  try {
    for await (const batch of lines) {
      for (const line of batch) {
        const { number, end, torn } = line;
        if (torn) return read();
        const record = parseHead(line, path);
        if (!ids.add(record.id, record.trial))
          throw damagedRecord(
            path,
            number,
            `row ${record.id}, trial ${record.trial} is there twice`,
          );
        addTo(tally, record);
        if (record.error != null) errors[record.error.code] = (errors[record.error.code] ?? 0) + 1;
        simulated ||= record.simulated === true;
        used = addSpent(used, paidFor(record));
        bytes = end;
      }
    }
  } finally {
    await close();
  }
  return read();
}

/** Members that a record of an older version does not have count as nothing. */
function addTo(tally: RunningTally, record: Head): void {
  const { status, stop_reason = "completed", usage, cost, score, error, history } = record;
  const known = { cost: cost ?? null, score: score ?? null, error: error ?? null };
  const hops = Array.isArray(history) ? history.length : 0;
  tally.add({ status, stop_reason, usage: { ...NO_USAGE, ...usage }, ...known }, hops);
}
