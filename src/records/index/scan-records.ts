// Reads records into rows of the index: those of a run without an index, and those that a stored
// index does not cover yet.

import type { TrajectoryRecord } from "../../task/record.ts";
import { type Head, parseHead } from "../read-records.ts";
import { type FileLine, type From, isCompressed, openRecordFile } from "../record-file.ts";
import type { Entry, EntryTable } from "./entry-table.ts";

export interface ScanOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that were read, and with those that there are. */
  readonly onProgress?: ((read: number, size: number) => void) | undefined;
}

/** Adds the whole records after `from` to the table. Returns where the last of them ends. */
export async function scanRecords(
  path: string,
  from: From,
  table: EntryTable,
  { signal, onProgress }: ScanOptions = {},
): Promise<From> {
  const { size, lines, close } = await openRecordFile(path, undefined, from);
  let { offset, lines: count } = from;
  try {
    for await (const batch of lines) {
      signal?.throwIfAborted();
      for (const line of batch) {
        if (line.torn) continue;
        table.add(entryOf(line, path));
        count++;
      }
      offset = batch.findLast(({ torn }) => !torn)?.end ?? offset;
      onProgress?.(offset, size);
    }
  } finally {
    await close();
  }
  return { offset, lines: count };
}

/** Fails with `run_refused` on a line that is not a record. */
export function entryOf(line: FileLine, path: string): Entry {
  return entryOfHead(parseHead(line, path), line, path);
}

export function entryOfHead(head: Head, line: FileLine, path: string): Entry {
  const { start, inFrame, bytes, end, overlong } = line;
  const frameBytes = isCompressed(path) ? end - start : 0;
  const history = Array.isArray(head.history) ? head.history : [];
  return {
    head,
    hops: history.length,
    models: modelsOf(history),
    place: { offset: start, frameBytes, inFrame, bytes },
    overlong: overlong !== undefined,
  };
}

function modelsOf(history: TrajectoryRecord["history"]): readonly string[] {
  const models: string[] = [];
  for (const { model } of history)
    if (model !== undefined && !models.includes(model)) models.push(model);
  return models;
}
