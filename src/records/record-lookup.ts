// Finds single records in the file of a run: where each of them is, in memory, and the record
// itself from the disk. It costs some 50 bytes a record, and no content.

import { type FileHandle, open } from "node:fs/promises";
import { decodeFrame } from "../dataset/zstd.ts";
import { parseJson } from "../task/exact.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { deriveSeed } from "../task/seed.ts";
import { parseHead, quickHeadOf } from "./read-records.ts";
import { isCompressed, openRecordFile, trajectoriesPath } from "./record-file.ts";
import { taskName } from "./superseded.ts";

/** The bytes of a line, or of the frame that it is in. */
interface Span {
  readonly start: number;
  readonly end: number;
}

export class RecordLookup {
  readonly #file: FileHandle;
  readonly #compressed: boolean;
  /** Spans by the fingerprint of their tasks. */
  readonly #spans: ReadonlyMap<number, Span>;
  /** Spans of tasks whose fingerprint another task has, by name. */
  readonly #others: ReadonlyMap<string, Span>;

  private constructor(
    file: FileHandle,
    compressed: boolean,
    spans: ReadonlyMap<number, Span>,
    others: ReadonlyMap<string, Span>,
  ) {
    this.#file = file;
    this.#compressed = compressed;
    this.#spans = spans;
    this.#others = others;
  }

  /** Reads the whole file once. Fails with `run_refused` on a line that is not a record. */
  static async open(directory: string): Promise<RecordLookup> {
    const path = trajectoriesPath(directory);
    const spans = new Map<number, Span>();
    const others = new Map<string, Span>();
    const { lines, close } = await openRecordFile(path);
    let span: Span = { start: 0, end: 0 };
    try {
      for await (const batch of lines) {
        for (const line of batch) {
          const { text, end, torn, overlong } = line;
          if (torn || overlong !== undefined) continue;
          if (end !== span.end) span = { start: span.end, end };
          const { id, trial } = quickHeadOf(text) ?? parseHead(line, path);
          const print = fingerprint(id, trial);
          if (spans.has(print)) others.set(taskName(id, trial), span);
          else spans.set(print, span);
        }
      }
    } finally {
      await close();
    }
    return new RecordLookup(await open(path, "r"), isCompressed(path), spans, others);
  }

  /** Null for a task that has no record. */
  async find(rowId: string, trial: number): Promise<TrajectoryRecord | null> {
    const span =
      this.#others.get(taskName(rowId, trial)) ?? this.#spans.get(fingerprint(rowId, trial));
    if (span === undefined) return null;
    const bytes = Buffer.allocUnsafe(span.end - span.start);
    await this.#file.read(bytes, 0, bytes.length, span.start);
    const content = this.#compressed ? decodeFrame(bytes) : bytes;
    for (const text of content?.toString("utf8").split("\n") ?? []) {
      if (text === "") continue;
      const record = parseJson(text) as TrajectoryRecord;
      if (record.id === rowId && record.trial === trial) return record;
    }
    return null;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

function fingerprint(rowId: string, trial: number): number {
  return deriveSeed(trial, rowId);
}
