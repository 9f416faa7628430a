// The tally: sums over the records that a run has made so far, for its progress and its summary.

import type { Counts, RecordHead } from "./record.ts";
import { addSpent, addUsage, NO_USAGE, NOTHING_SPENT, roundMoney, type Spent } from "./spent.ts";
import type { StopReason, Usage } from "./task.ts";

/** The members of a record that are summed. */
export type Tallied = Pick<
  RecordHead,
  "status" | "stop_reason" | "usage" | "cost" | "score" | "error"
>;

export interface Tally {
  readonly counts: Counts;
  readonly stopReasons: Partial<Record<StopReason, number>>;
  /** Number of failed records by error code and role: "CODE in ROLE". */
  readonly errors: Record<string, number>;
  readonly hops: number;
  readonly usage: Usage;
  readonly cost: number | null;
  /** Number and sum of the scores that are not null. */
  readonly score: { readonly count: number; readonly sum: number };
}

/** Sums over records that are alike. */
export interface AlikeSums extends Pick<Tally, "hops" | "usage" | "cost" | "score"> {
  readonly count: number;
}

export class RunningTally implements Tally {
  readonly counts = { ok: 0, failed: 0, lost: 0 };
  readonly stopReasons: Partial<Record<StopReason, number>> = {};
  readonly errors: Record<string, number> = {};
  hops = 0;
  usage = NO_USAGE;
  cost: number | null = null;
  readonly score = { count: 0, sum: 0 };

  /** The spending that the records state; their cost is 0 without a price. */
  get spent(): Spent {
    return addSpent(NOTHING_SPENT, { ...this.usage, cost: this.cost ?? 0 });
  }

  add(record: Tallied, hops: number): void {
    const { usage, cost, score } = record;
    const scores = score === null ? { count: 0, sum: 0 } : { count: 1, sum: score };
    this.addAlike(record, { count: 1, hops, usage, cost, score: scores });
  }

  /** Adds records that have status, stop reason and error in common. */
  addAlike(record: Pick<Tallied, "status" | "stop_reason" | "error">, sums: AlikeSums): void {
    const { count } = sums;
    this.counts[record.status] += count;
    this.stopReasons[record.stop_reason] = (this.stopReasons[record.stop_reason] ?? 0) + count;
    this.hops += sums.hops;
    this.usage = addUsage(this.usage, sums.usage);
    if (sums.cost !== null) this.cost = roundMoney((this.cost ?? 0) + sums.cost);
    this.score.count += sums.score.count;
    this.score.sum += sums.score.sum;
    if (record.error !== null) {
      const where =
        record.error.role === null
          ? record.error.code
          : `${record.error.code} in ${record.error.role}`;
      this.errors[where] = (this.errors[where] ?? 0) + count;
    }
  }
}
