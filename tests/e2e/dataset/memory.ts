// Peak memory of a scan, above what the process had before it.

import { scanDataset } from "../../../src/dataset/scan.ts";
import type { DatasetSource } from "../../../src/dataset/source.ts";

/**
 * Scans the source and collects garbage at every `collectEvery`-th report of progress: dead memory
 * does not matter here, and a busy process would leave it uncollected.
 */
export async function scanInMemory(
  source: DatasetSource,
  collectEvery: number,
): Promise<{ readonly rows: number; readonly mostMiB: number }> {
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  let most = 0;
  let calls = 0;
  const onProgress = (): void => {
    if (++calls % collectEvery === 0) Bun.gc(true);
    most = Math.max(most, process.memoryUsage().rss);
  };
  const { rows } = await scanDataset(source, { trials: 1, onProgress });
  return { rows, mostMiB: (most - before) / 2 ** 20 };
}
