// What a run directory has recorded, read from the records themselves in one pass. A torn last line is cut, not trusted.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { splitLines } from "../dataset/lines.ts";
import { MatrixError } from "../error.ts";
import { IdSet } from "../task/id-set.ts";
import { RECORD_FORMAT, type TrajectoryRecord } from "../task/record.ts";

export const TRAJECTORIES_FILE = "trajectories.jsonl";
const CHUNK_BYTES = 1024 * 1024;

export interface Recorded {
  readonly ids: IdSet;
  readonly counts: { ok: number; failed: number; lost: number };
  /** Where the last whole record ends. */
  readonly bytes: number;
  /** Bytes after it: a record that was being written when the process died. */
  readonly tornBytes: number;
}

/** Fails with `run_refused` when a line in the middle is no record, or one stands twice. */
export async function readRecorded(path: string): Promise<Recorded> {
  const ids = new IdSet();
  const counts = { ok: 0, failed: 0, lost: 0 };
  const { size, lines, close } = await openLines(path);
  let bytes = 0;
  try {
    for await (const batch of lines) {
      for (const line of batch) {
        const end = line.offset + line.bytes + 1;
        // Without its newline a line is torn, even if it parses.
        if (end > size) return { ids, counts, bytes, tornBytes: size - bytes };
        const record = parseHead(line.text, path, line.number);
        if (!ids.add(record.id, record.trial)) throw damaged(path, line.number, `row ${record.id}, trial ${record.trial} stands twice`);
        counts[record.status]++;
        bytes = end;
      }
    }
  } finally {
    await close();
  }
  return { ids, counts, bytes, tornBytes: size - bytes };
}

/** The whole records of a run directory, in batches; a torn last line is none. Fails with `run_refused` on a line that is no record. */
export async function* readRecords(directory: string): AsyncGenerator<readonly TrajectoryRecord[]> {
  const path = join(directory, TRAJECTORIES_FILE);
  const { size, lines, close } = await openLines(path);
  try {
    for await (const batch of lines) {
      const whole = batch.filter(({ offset, bytes }) => offset + bytes + 1 <= size);
      yield whole.map(({ text, number }) => parseHead(text, path, number) as TrajectoryRecord);
    }
  } finally {
    await close();
  }
}

/** The lines of a file; none where there is no file. */
export async function openLines(path: string): Promise<{ size: number; lines: ReturnType<typeof splitLines>; close: () => Promise<void> }> {
  const file = await open(path, "r").catch((cause: { code?: unknown }) => {
    if (cause.code === "ENOENT") return null;
    throw cause;
  });
  if (file === null) return { size: 0, lines: splitLines(nothing()), close: async () => undefined };
  const { size } = await file.stat();
  const chunks = file.createReadStream({ highWaterMark: CHUNK_BYTES, autoClose: false });
  return { size, lines: splitLines(chunks as AsyncIterable<Buffer>), close: () => file.close() };
}

async function* nothing(): AsyncGenerator<Buffer> {}

type Head = Pick<TrajectoryRecord, "id" | "trial" | "status">;

/** The record, of which no more than the head was looked at. */
function parseHead(text: string, path: string, line: number): Head {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged(path, line, "it is no JSON");
  }
  const { format, id, trial, status } = (value ?? {}) as Record<string, unknown>;
  if (format !== RECORD_FORMAT) throw damaged(path, line, `its format is ${JSON.stringify(format)}, not ${RECORD_FORMAT}`);
  if (typeof id !== "string" || typeof trial !== "number" || (status !== "ok" && status !== "failed" && status !== "lost")) {
    throw damaged(path, line, "it has no id, trial and status");
  }
  return value as Head;
}

function damaged(path: string, line: number, what: string): MatrixError {
  return new MatrixError("run_refused", `${path}:${line}: this line is no record of the run: ${what}`, {
    hint: "mend or remove the line, or start anew with --fresh (the old directory is kept aside)",
  });
}
