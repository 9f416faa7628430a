// Counts of records by status.

import type { Recorded } from "../../src/records/index/entry-table.ts";
import type { Counts } from "../../src/task/record.ts";

export function countsOf(records: readonly Recorded[]): Counts {
  const counts = { ok: 0, failed: 0, lost: 0 };
  for (const { head } of records) counts[head.status]++;
  return counts;
}
