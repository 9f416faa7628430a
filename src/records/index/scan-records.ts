// Reads records into rows of the index: those of a run without an index, and those that a stored
// index does not cover yet.

import { modelsIn } from "../../task/totals.ts";
import { type Head, parseHead } from "../read-records.ts";
import { type FileLine, type From, isCompressed, openRecordFile } from "../record-file.ts";
import { lineSum, type Place, type Recorded } from "./entry-table.ts";
import { FLAG_OVERLONG } from "./layout.ts";

export interface ScanOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that were read, and with those that there are. */
  readonly onProgress?: ((read: number, size: number) => void) | undefined;
}

/** Takes the rows of records: a table in memory, or a writer. */
export interface Entries {
  add(record: Recorded, place: Place, flags?: number): void;
  /** Called between batches. */
  flush?(): Promise<void>;
}

/**
 * Adds the whole records after `from`. Returns where the last of them ends. Fails with
 * `run_refused` on a line that is not a record.
 */
export async function scanRecords(
  path: string,
  from: From,
  entries: Entries,
  { signal, onProgress }: ScanOptions = {},
): Promise<From> {
  const { size, lines, close } = await openRecordFile(path, undefined, from);
  let at = from;
  try {
    for await (const batch of lines) {
      signal?.throwIfAborted();
      for (const line of batch) {
        if (line.torn) continue;
        entries.add(...entryOf(parseHead(line, path), line, path));
        at = afterLine(line, path, at);
      }
      await entries.flush?.();
      onProgress?.(at.offset, size);
    }
  } finally {
    await close();
  }
  return at;
}

/**
 * The place after a line. In a compressed file, that is within its frame, because the rest of the
 * frame may have further lines.
 */
export function afterLine(line: FileLine, path: string, { lines }: From): From {
  const { start, inFrame, bytes, end } = line;
  if (!isCompressed(path)) return { offset: end, lines: lines + 1 };
  return { offset: start, lines: lines + 1, inFrame: inFrame + bytes + 1 };
}

/** The arguments of `add` for the head of a line. */
export function entryOf(
  head: Head,
  line: FileLine,
  path: string,
): [record: Recorded, place: Place, flags: number] {
  const { start, inFrame, bytes, end, overlong } = line;
  const frameBytes = isCompressed(path) ? end - start : 0;
  const history = Array.isArray(head.history) ? head.history : [];
  const record = { head, hops: history.length, models: modelsIn(history) };
  const place = { offset: start, frameBytes, inFrame, bytes, sum: textSum(line) };
  return [record, place, overlong === undefined ? 0 : FLAG_OVERLONG];
}

/** A text that was not UTF-8 does not have the bytes of its line, so it has no sum. */
function textSum({ text, bytes, overlong }: FileLine): number {
  if (overlong !== undefined) return 0;
  const encoded = Buffer.from(text);
  return encoded.length === bytes ? lineSum(encoded) : 0;
}
