// How much memory a scan takes at its highest, above what the process had before.

import { scanDataset } from "../../src/dataset/scan.ts";
import type { DatasetSource } from "../../src/dataset/source.ts";

/** `collectEvery`: of so many calls of its progress, one collects: what is dead is no matter here, and an engine in a busy process lets it lie. */
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
