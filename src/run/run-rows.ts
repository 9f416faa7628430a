// The rows that a run works on: the rows of a dataset, or the records of another run.

import { openDataset, type RowStream } from "../dataset/open.ts";
import type { DatasetScan } from "../dataset/scan.ts";
import { costOf, type PaidFor } from "../records/recorded-tasks.ts";
import { combineSpent, NOTHING_SPENT, type Spent } from "../task/spent.ts";
import type { Hop } from "../task/task.ts";
import { checkCache } from "./answers.ts";
import type { Plan } from "./plan.ts";
import { previewFirstRow } from "./preview.ts";
import type { Replay } from "./replay/replay-source.ts";
import { scanRows } from "./scan-rows.ts";

export interface RunRows {
  /** Number of records at the end. */
  readonly expected: number;
  readonly trials: number;
  readonly seed: number;
  /** True when the recipe says that answers are simulated; an endpoint may say so later. */
  readonly simulated: boolean;
  readonly scan: DatasetScan;
  /** Null for a dataset. */
  readonly replay: Replay | null;
  readonly open: () => Promise<RowStream>;
  /** The part of a record's usage and cost that was paid for by another run. */
  readonly reusedIn: (history: readonly Hop[]) => Spent;
}

/** Rows, and the plan that works on them. */
export interface Work {
  readonly plan: Plan;
  readonly rows: RunRows;
}

/**
 * The rows of the plan's dataset, once the first of them has come as far as its first role.
 * `checkpoint` is the number of rows that an earlier start had.
 */
export async function datasetWork(plan: Plan, checkpoint: number | undefined): Promise<Work> {
  const scanned = await scanRows(plan, checkpoint);
  await previewFirstRow(plan, scanned);
  await checkCache(plan.loaded);
  const { source, scan } = scanned;
  const { trials, seed } = plan.recipe.run;
  const open = () => openDataset(source, scan.rows);
  const expected = scan.rows * trials;
  const { simulated } = plan;
  const reusedIn = () => NOTHING_SPENT;
  return { plan, rows: { expected, trials, seed, simulated, scan, replay: null, open, reusedIn } };
}

/** The part of a record's usage and cost that this run has paid for. */
export function paidFor({ replay, reusedIn }: RunRows, record: Parameters<PaidFor>[0]): Spent {
  const all = costOf(record);
  if (replay === null) return all;
  return combineSpent(all, reusedIn(record.history ?? []), (a, b) => Math.max(0, a - b));
}
