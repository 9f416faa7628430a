// The records of a run directory, one after another, for whoever reads a run after it: exports and reports.

import { join } from "node:path";
import { MatrixError } from "../error.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { openLines } from "./recorded.ts";
import { TRAJECTORIES_FILE } from "./run-directory.ts";

/** In order of completion. A torn last line is no record. Fails with `usage` where there is none. */
export async function* readRecords(directory: string): AsyncGenerator<TrajectoryRecord> {
  const path = join(directory, TRAJECTORIES_FILE);
  const { lines, size, close } = await openLines(path);
  if (size === 0) throw new MatrixError("usage", `no records in ${path}`);
  try {
    for await (const batch of lines) {
      for (const { text, offset, bytes } of batch) if (offset + bytes + 1 <= size) yield JSON.parse(text) as TrajectoryRecord;
    }
  } finally {
    await close();
  }
}
