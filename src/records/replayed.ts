// The records of a run as the rows of another, which replays them: each is one task, by its id and trial. In the order of the
// file, as a stream, of whole records alone.

import { createHash } from "node:crypto";
import { BatchedRows, type RowStream } from "../dataset/open.ts";
import type { DatasetScan } from "../dataset/scan.ts";
import type { DatasetRow } from "../dataset/source.ts";
import { IdDigest } from "../task/id-digest.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { parseHead, readRecords } from "./recorded.ts";
import { openStoredLines, trajectoriesPath } from "./stored-lines.ts";

/** `rows` are records here. `checkpoint`: how many an earlier replay had. */
export async function scanRecords(
  directory: string,
  checkpoint: number | undefined,
): Promise<DatasetScan> {
  const path = trajectoriesPath(directory);
  const { lines, close } = await openStoredLines(path);
  const hash = createHash("sha256");
  const digestNow = () => hash.copy().digest("hex");
  const ids = new IdDigest();
  let rows = 0;
  let checkpointDigest = checkpoint === 0 ? digestNow() : null;
  try {
    for await (const batch of lines) {
      for (const { text, number, torn } of batch) {
        if (torn) continue;
        const { id, trial } = headOf(text) ?? parseHead(text, path, number);
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

/** `onRow` sees each record before its task begins. */
export function openRecords(
  directory: string,
  rows: number,
  onRow: (record: TrajectoryRecord) => void,
): RowStream {
  return new BatchedRows(tasksOf(directory, onRow), rows, async () => undefined);
}

async function* tasksOf(
  directory: string,
  onRow: (record: TrajectoryRecord) => void,
): AsyncGenerator<readonly DatasetRow[]> {
  let number = 0;
  for await (const records of readRecords(directory)) {
    records.forEach(onRow);
    if (records.length > 0)
      yield records.map(({ id, trial, row }) => ({ id, number: number++, row, trial }));
  }
}

/** As this program writes it, so that nothing more of the line need be parsed. */
const HEAD = /^\{"format":"matrix-trajectory-1","id":("(?:[^"\\]|\\.)*"),"trial":(\d+),/;

function headOf(text: string): { readonly id: string; readonly trial: number } | null {
  const [, id, trial] = HEAD.exec(text) ?? [];
  return id === undefined ? null : { id: JSON.parse(id) as string, trial: Number(trial) };
}
