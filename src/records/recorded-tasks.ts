// The tasks of a run that have a record already, and the sums over those records. A continued run
// reads them from the records, or from the index where that agrees with them, and never from the
// manifest, which may lag behind.

import type { MatrixError } from "../error.ts";
import { IdSet } from "../task/id-set.ts";
import { addSpent, NO_USAGE, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import { RunningTally, type Tallied } from "../task/tally.ts";
import type { Place, Recorded } from "./index/entry-table.ts";
import { KEY_WORDS } from "./index/layout.ts";
import { RowSums } from "./index/row-sums.ts";
import { entryOf } from "./index/scan-records.ts";
import type { StoredIndex } from "./index/stored-index.ts";
import { damagedRecord, type Head, parseHead } from "./read-records.ts";
import { BEGINNING, openRecordFile } from "./record-file.ts";

/** The index of the run: the rows that are there, and a place for those that are not. */
export interface GrowingIndex {
  /** Its rows agree with the records. */
  readonly stored: StoredIndex | null;
  add(record: Recorded, place: Place, flags?: number): void;
  flush(): Promise<void>;
}

const NO_INDEX: GrowingIndex = {
  stored: null,
  add: () => undefined,
  flush: async () => undefined,
};

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

/** The whole cost of a record. Answers that a replay takes were paid for by another run. */
export const costOf: PaidFor = (record) => spentOn(record);

function spentOn({ usage, cost }: Pick<Head, "usage" | "cost">): Spent {
  return { ...NOTHING_SPENT, ...usage, cost: cost ?? 0 };
}

/**
 * `path`: the file of the records. What the index does not have is added to it. Fails with
 * `run_refused` on a line that is not a record, or is there twice.
 */
export async function readRecordedTasks(
  path: string,
  paidFor: PaidFor = costOf,
  index: GrowingIndex = NO_INDEX,
): Promise<RecordedTasks> {
  const { stored } = index;
  const reading = new Reading(path, paidFor);
  let from = BEGINNING;
  // The cost of a replay depends on the histories of its records.
  if (stored !== null && paidFor === costOf) {
    reading.takeRows(stored);
    from = stored.end;
  }
  const { size, lines, close } = await openRecordFile(path, undefined, from);
  let bytes = from.offset;
  try {
    for await (const batch of lines) {
      for (const line of batch) {
        if (line.torn) return reading.end(bytes, size);
        const record = parseHead(line, path);
        reading.take(record, line.number);
        bytes = line.end;
        if (line.number > (stored?.size ?? 0)) index.add(...entryOf(record, line, path));
      }
      await index.flush();
    }
  } finally {
    await close();
  }
  return reading.end(bytes, size);
}

class Reading {
  readonly #path: string;
  readonly #paidFor: PaidFor;
  readonly #ids = new IdSet();
  readonly #tally = new RunningTally();
  readonly #errors: Record<string, number> = {};
  #simulated = false;
  #used = NOTHING_SPENT;

  constructor(path: string, paidFor: PaidFor) {
    this.#path = path;
    this.#paidFor = paidFor;
  }

  /** Takes the rows of an index. */
  takeRows(stored: StoredIndex): void {
    const sums = new RowSums(stored.strings);
    for (const rows of stored.chunks()) {
      const keys = stored.keys(rows.from, rows.count);
      for (let n = 0; n < rows.count; n++) {
        const key = n * KEY_WORDS;
        if (!this.#ids.addFingerprint(keys[key] ?? 0, keys[key + 1] ?? 0)) {
          const { id, trial, number } = stored.taskOf(rows.from + n);
          throw this.#twice(id, trial, number);
        }
        sums.add(rows, n);
      }
    }
    for (const { example, ...alike } of sums.groups()) {
      const { status, stopReason: stop_reason, error, simulated } = example;
      this.#tally.addAlike({ status, stop_reason, error }, alike);
      if (error !== null) this.#errors[error.code] = (this.#errors[error.code] ?? 0) + alike.count;
      this.#simulated ||= simulated;
      this.#used = addSpent(this.#used, spentOn(alike));
    }
  }

  take(record: Head, number: number): void {
    if (!this.#ids.add(record.id, record.trial)) throw this.#twice(record.id, record.trial, number);
    const { status, stop_reason = "completed", usage, history } = record;
    // Members that a record of an older version does not have count as nothing.
    const { cost = null, score = null, error = null, simulated = false } = record;
    const hops = Array.isArray(history) ? history.length : 0;
    const sums = { status, stop_reason, usage: { ...NO_USAGE, ...usage } };
    this.#sum({ ...sums, cost, score, error, simulated }, hops, this.#paidFor(record));
  }

  end(bytes: number, size: number): RecordedTasks {
    return {
      ids: this.#ids,
      tally: this.#tally,
      errors: this.#errors,
      simulated: this.#simulated,
      used: this.#used,
      bytes,
      tornBytes: size - bytes,
    };
  }

  #sum(record: Tallied & { readonly simulated: boolean }, hops: number, paid: Spent): void {
    this.#tally.add(record, hops);
    const code = record.error?.code;
    if (code !== undefined) this.#errors[code] = (this.#errors[code] ?? 0) + 1;
    this.#simulated ||= record.simulated;
    this.#used = addSpent(this.#used, paid);
  }

  #twice(id: string, trial: number, number: number): MatrixError {
    return damagedRecord(this.#path, number, `row ${id}, trial ${trial} is there twice`);
  }
}
