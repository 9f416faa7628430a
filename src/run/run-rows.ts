// The rows that a run works on: the rows of a dataset, or the records of another run.

import { openDataset, type RowStream } from "../dataset/open.ts";
import type { DatasetScan } from "../dataset/scan.ts";
import { checkCache } from "./answers.ts";
import type { Plan } from "./plan.ts";
import { previewFirstRow } from "./preview.ts";
import { scanRows } from "./scan-rows.ts";

export interface RunRows {
  /** Number of records at the end. */
  readonly expected: number;
  readonly trials: number;
  readonly seed: number;
  /** True when the recipe says that answers are simulated; an endpoint may say so later. */
  readonly simulated: boolean;
  readonly scan: DatasetScan;
  /** The run directory whose records are replayed; null for a dataset. */
  readonly replay: string | null;
  readonly open: () => Promise<RowStream>;
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
  return { plan, rows: { expected, trials, seed, simulated, scan, replay: null, open } };
}
