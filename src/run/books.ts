// The books of one start of a run: its records, their cost, and the room that is left in the
// budget. Earlier starts count: their records and their spending are in the run directory.

import { atLeast, type Budget, type Finished, Ledger, usedUp } from "../driver/ledger.ts";
import type { RunEnd } from "../driver/run.ts";
import { costOf } from "../records/recorded-tasks.ts";
import type { RunDirectory } from "../records/run-directory.ts";
import { type Beginning, FIRST_BEGINNING, taskName } from "../records/superseded.ts";
import type { RecordHead } from "../task/record.ts";
import { addSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import { RunningTally } from "../task/tally.ts";

export interface BooksOptions {
  readonly directory: RunDirectory;
  /** Null for a run without a budget, and for a replay that asks no model. */
  readonly budget: Budget | null;
  /** True when this process asks the models itself; otherwise hosts report what they spent. */
  readonly isAlone: boolean;
}

export class Books {
  /** Sums of this start. */
  readonly tally = new RunningTally();
  /** Sums of all starts: the records that were there, and those of this start. */
  readonly whole: RunningTally;
  readonly ledger: Ledger;
  readonly budget: Budget | null;
  /** Number of records of earlier starts. */
  readonly before: number;
  readonly #options: BooksOptions;
  readonly #newErrors: Record<string, number> = {};
  /** The cost of the records that this start made. */
  #paid: Spent = NOTHING_SPENT;

  constructor(options: BooksOptions) {
    const { directory, budget } = options;
    this.#options = options;
    this.budget = budget;
    this.before = directory.recorded.ids.size;
    this.whole = directory.recorded.tally;
    this.ledger = new Ledger(earlierSpending(options), budget ?? undefined);
  }

  isRecorded(rowId: string, trial: number): boolean {
    return this.before > 0 && this.#options.directory.recorded.ids.has(rowId, trial);
  }

  /** The beginning of a task, which a retry may have moved on. */
  beginningOf(rowId: string, trial: number): Beginning {
    const { beginnings } = this.#options.directory.superseded;
    if (beginnings.size === 0) return FIRST_BEGINNING;
    return beginnings.get(taskName(rowId, trial)) ?? FIRST_BEGINNING;
  }

  /** Number of failed and lost records of the whole run, by error code. */
  get errors(): Readonly<Record<string, number>> {
    const errors = { ...this.#options.directory.recorded.errors };
    for (const [code, count] of Object.entries(this.#newErrors))
      errors[code] = (errors[code] ?? 0) + count;
    return errors;
  }

  /** Notes a record that was written, and the part of its cost that this run has paid for. */
  record(record: RecordHead, hops: number, paid = costOf(record)): void {
    const { directory, isAlone } = this.#options;
    this.tally.add(record, hops);
    this.whole.add(record, hops);
    this.#paid = addSpent(this.#paid, paid);
    if (record.error !== null)
      this.#newErrors[record.error.code] = (this.#newErrors[record.error.code] ?? 0) + 1;
    if (record.simulated) directory.noteSimulated();
    if (!isAlone) this.ledger.record({ usage: paid, cost: paid.cost }, performance.now());
  }

  /** The cost of the run's records over all starts, without those that were replaced. */
  get paid(): Spent {
    return addSpent(this.#options.directory.recorded.used, this.#paid);
  }

  /** True when the budget has room for one more task beside those in flight. */
  hasRoom(inFlight: number): boolean {
    return this.budget === null || this.ledger.hasRoom(inFlight, this.#finished);
  }

  /**
   * Resolves when the hosts have reported their spending; null when no task has to wait for that.
   */
  hold(): Promise<void> | null {
    return this.#options.isAlone ? null : this.ledger.hold(performance.now());
  }

  /** The part of the budget that is used up, in words; null while there is room. */
  usedUp(spent: Spent = this.ledger.spent): string | null {
    return usedUp(spent, this.budget ?? {});
  }

  /** Notes the spending in the manifest. */
  noteSpent(): void {
    this.#options.directory.noteSpent(this.ledger.recorded);
  }

  /**
   * The spending of all starts, once the run has ended. A killed process may not have reported the
   * cost of its last answers. When no process can report it any more, the records decide.
   */
  close({ complete }: Pick<RunEnd, "complete">): Spent {
    const { directory, isAlone } = this.#options;
    const isAllTold = complete || isAlone;
    const { spent, recorded } = this.ledger;
    const sum = isAllTold ? atLeast(spent, this.#finished.used) : spent;
    directory.noteSpent({ ...recorded, ...sum });
    return sum;
  }

  get #finished(): Finished {
    const { counts } = this.whole;
    const { directory } = this.#options;
    const tasks = counts.ok + counts.failed + counts.lost + directory.superseded.count;
    return { tasks, used: addSpent(usedBefore(directory), this.#paid) };
  }
}

/** The spending of earlier starts. */
function earlierSpending({ directory, isAlone }: BooksOptions) {
  const { spent } = directory;
  if (!isAlone) return spent;
  // No host of an earlier start is left that could report more.
  return { ...atLeast(spent, usedBefore(directory)), hosts: {} };
}

/** Sum over the records of earlier starts, those that retries replaced included. */
function usedBefore({ recorded, superseded }: RunDirectory): Spent {
  return addSpent(recorded.used, superseded.used);
}
