// The move of records out of a run, so that their rows run again. All of them move, or none does,
// wherever the process is killed:
//
//   1. The records that stay are written to a file beside the present one.
//   2. A note says how long superseded.jsonl is before the move.
//   3. The records that go are appended to superseded.jsonl.
//   4. The file of step 1 is renamed over the present one. From here on the move is done.
//   5. The note is removed.
//
// A note beside the file of step 1 means that the move is not done: what it appended does not
// count, and the next driver takes it back. A note without that file means that step 4 is done.

import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { encodeFrame } from "../dataset/zstd.ts";
import { MatrixError, messageOf } from "../error.ts";
import type { Counts } from "../task/record.ts";
import { type Disk, realDisk } from "./disk.ts";
import { damagedRecord, parseHead } from "./read-records.ts";
import { isCompressed, openRecordFile, supersededPath } from "./record-file.ts";
import { isChosen, type RetryChoice } from "./retry-choice.ts";

export const MOVE_FILE = "retry.json";
const BATCH_BYTES = 4 * 2 ** 20;

interface Note {
  /** Bytes of superseded.jsonl before the move. */
  readonly bytes: number;
}

/** A move whose step 1 is done. */
export interface PreparedMove {
  /** Number of records that go. */
  readonly moved: number;
  /** Counts of the records that stay. */
  readonly kept: Counts;
  /** Does the other steps. When one of them fails, the move is taken back. */
  commit(): Promise<void>;
}

/**
 * Prepares the move of the chosen records; null when there are none. `trajectories` is the file of
 * the records. Fails with `run_refused` on a line that is not a record.
 */
export async function prepareMove(
  trajectories: string,
  choice: RetryChoice,
  disk: Disk = realDisk,
): Promise<PreparedMove | null> {
  await recoverMove(trajectories, disk);
  const kept = { ok: 0, failed: 0, lost: 0 };
  let moved = 0;
  const next = nextPath(trajectories);
  const staying = new Appender(next, isCompressed(trajectories), disk);
  for await (const { text, status, isGoing } of linesOf(trajectories, choice)) {
    if (isGoing) moved++;
    else {
      kept[status]++;
      await staying.add(text);
    }
  }
  await staying.finish();
  if (moved > 0) return { moved, kept, commit: () => commit(trajectories, choice, disk) };
  await disk.remove(next);
  return null;
}

/** Ends a move that a killed process has begun: takes it back, or tidies up after it. */
export async function recoverMove(trajectories: string, disk: Disk = realDisk): Promise<void> {
  const note = notePath(trajectories);
  const bytes = await countedBytes(trajectories);
  const superseded = supersededPath(trajectories);
  if (Number.isFinite(bytes) && existsSync(superseded)) {
    await disk.truncate(superseded, bytes);
    await disk.sync(superseded);
    if (bytes === 0) await disk.remove(superseded);
  }
  // Either order is safe now: nothing that was appended is left.
  for (const path of [`${note}.tmp`, note, nextPath(trajectories)])
    if (existsSync(path)) await disk.remove(path);
}

/**
 * The number of bytes of superseded.jsonl that count: those before an unfinished move, or infinity,
 * which is all of them.
 */
export async function countedBytes(trajectories: string): Promise<number> {
  if (!existsSync(nextPath(trajectories))) return Number.POSITIVE_INFINITY;
  return (await readNote(notePath(trajectories)))?.bytes ?? Number.POSITIVE_INFINITY;
}

async function commit(trajectories: string, choice: RetryChoice, disk: Disk): Promise<void> {
  try {
    const note = notePath(trajectories);
    const superseded = supersededPath(trajectories);
    const before: Note = { bytes: await sizeOf(superseded) };
    await disk.append(`${note}.tmp`, Buffer.from(`${JSON.stringify(before)}\n`));
    await disk.sync(`${note}.tmp`);
    await disk.rename(`${note}.tmp`, note);
    await disk.syncFolder(dirname(note));
    const going = new Appender(superseded, isCompressed(superseded), disk);
    for await (const { text, isGoing } of linesOf(trajectories, choice))
      if (isGoing) await going.add(text);
    await going.finish();
    await disk.syncFolder(dirname(note));
    await disk.rename(nextPath(trajectories), trajectories);
    await disk.syncFolder(dirname(note));
    await disk.remove(note);
  } catch (cause) {
    await recoverMove(trajectories, disk).catch(() => undefined);
    if (cause instanceof MatrixError) throw cause;
    throw new MatrixError(
      "storage_failed",
      `cannot move records to ${supersededPath(trajectories)}: ${messageOf(cause)}`,
      { cause, hint: "no record is lost; run the same command again when the storage is back" },
    );
  }
}

/** Appends lines in large pieces; each piece is a frame of a compressed file. */
class Appender {
  readonly #path: string;
  readonly #compressed: boolean;
  readonly #disk: Disk;
  #lines: string[] = [];
  #chars = 0;

  constructor(path: string, compressed: boolean, disk: Disk) {
    this.#path = path;
    this.#compressed = compressed;
    this.#disk = disk;
  }

  async add(line: string): Promise<void> {
    this.#lines.push(line, "\n");
    this.#chars += line.length;
    if (this.#chars >= BATCH_BYTES) await this.#flush();
  }

  /** Writes what is left, makes an empty file if there was no line, and syncs the file. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#disk.sync(this.#path);
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#lines.join(""));
    this.#lines = [];
    this.#chars = 0;
    const isFrame = this.#compressed && bytes.length > 0;
    await this.#disk.append(this.#path, isFrame ? await encodeFrame(bytes) : bytes);
  }
}

/** The whole lines of the file. A torn last line is no record, and stays behind. */
async function* linesOf(trajectories: string, choice: RetryChoice) {
  const { lines, close } = await openRecordFile(trajectories);
  try {
    for await (const batch of lines) {
      for (const line of batch) {
        const { text, number, torn, overlong } = line;
        if (torn) continue;
        if (overlong !== undefined)
          throw damagedRecord(trajectories, number, "it is too long to be copied");
        const head = parseHead(line, trajectories);
        yield { text, status: head.status, isGoing: isChosen(choice, head) };
      }
    }
  } finally {
    await close();
  }
}

async function sizeOf(path: string): Promise<number> {
  return existsSync(path) ? (await stat(path)).size : 0;
}

/** The note of a move under way, or null. Fails with `run_refused` when it cannot be read. */
async function readNote(path: string): Promise<Note | null> {
  if (!existsSync(path)) return null;
  try {
    const { bytes } = JSON.parse(await readFile(path, "utf8")) as Partial<Note>;
    if (typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes >= 0) return { bytes };
  } catch {
    // The message below covers what is not JSON, too.
  }
  throw new MatrixError("run_refused", `${path} does not say how far a retry had come`, {
    hint: 'write {"bytes": N} there, where N is the length of superseded.jsonl before the retry',
  });
}

function nextPath(trajectories: string): string {
  return `${trajectories}.next`;
}

function notePath(trajectories: string): string {
  return join(dirname(trajectories), MOVE_FILE);
}
