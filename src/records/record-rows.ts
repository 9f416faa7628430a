// The records of a run as the dataset of another run, which replays them. Each whole record becomes
// one task with the id and the trial of the record, in the order of the file.

import { createHash } from "node:crypto";
import { BatchedRows, type RowStream } from "../dataset/open.ts";
import type { DatasetScan } from "../dataset/scan.ts";
import type { DatasetRow } from "../dataset/source.ts";
import { IdDigest } from "../task/id-digest.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { parseHead, quickHeadOf, readRecords } from "./read-records.ts";
import { openRecordFile, trajectoriesPath } from "./record-file.ts";

/**
 * Counts and hashes the records, which are the rows here. `checkpoint`: the number of rows that an
 * earlier replay had.
 */
export async function scanRecordRows(
  directory: string,
  checkpoint: number | undefined,
): Promise<DatasetScan> {
  const path = trajectoriesPath(directory);
  const { lines, close } = await openRecordFile(path);
  const hash = createHash("sha256");
  const digestNow = () => hash.copy().digest("hex");
  const ids = new IdDigest();
  let rows = 0;
  let checkpointDigest = checkpoint === 0 ? digestNow() : null;
  try {
    for await (const batch of lines) {
      for (const line of batch) {
        const { text, torn } = line;
        if (torn) continue;
        const { id, trial } = quickHeadOf(text) ?? parseHead(line, path);
        ids.add(id, trial);
        hash.update(text);
        if (++rows === checkpoint) checkpointDigest = digestNow();
      }
    }
  } finally {
    await close();
  }
  return { rows, digest: digestNow(), checkpointDigest, idsDigest: ids.hex };
}

/** Streams the records as rows. `onRow` gets each record before its task begins. */
export function openRecordRows(
  directory: string,
  rows: number,
  onRow: (record: TrajectoryRecord) => void,
): RowStream {
  return new BatchedRows(rowsOf(directory, onRow), rows, async () => undefined);
}

async function* rowsOf(
  directory: string,
  onRow: (record: TrajectoryRecord) => void,
): AsyncGenerator<readonly DatasetRow[]> {
  let number = 0;
  for await (const records of readRecords(directory)) {
    records.forEach(onRow);
    if (records.length > 0)
      yield records.map(({ id, trial, seed, row }) => ({ id, number: number++, row, trial, seed }));
  }
}
