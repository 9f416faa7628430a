// One whole pass over the dataset of a plan, before anything is spent.

import { findFiles } from "../dataset/files.ts";
import { type DatasetScan, scanDataset } from "../dataset/scan.ts";
import type { DatasetSource } from "../dataset/source.ts";
import { compileExpression } from "../recipe/expression/expression.ts";
import type { Plan } from "./plan.ts";

export interface Scanned {
  readonly source: DatasetSource;
  readonly scan: DatasetScan;
}

/** Reads the whole dataset once. `checkpoint` is the number of rows that an earlier start had. */
export async function scanRows(
  { recipe: { dataset, run } }: Pick<Plan, "recipe">,
  checkpoint: number | undefined,
): Promise<Scanned> {
  const filter = dataset.filter === undefined ? null : compileExpression(dataset.filter);
  const source: DatasetSource = {
    files: await findFiles([dataset.path].flat(), dataset.format, dataset.csv),
    columns: dataset.columns ?? null,
    idField: dataset.id ?? null,
    filter: filter === null ? null : (row) => filter({ row }) === true,
    limit: dataset.limit ?? null,
    shuffle: dataset.shuffle ? run.seed : null,
    shard: dataset.shard ?? null,
  };
  return {
    source,
    scan: await scanDataset(source, {
      trials: run.trials,
      ...(checkpoint === undefined ? {} : { checkpoint }),
    }),
  };
}
