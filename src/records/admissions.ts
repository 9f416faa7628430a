// Notes of the tasks that have left the driver, written before they leave. A driver that goes on
// after another one learns from them which tasks may have been begun: with delivery
// "at-most-once" they are lost unless a host still holds them, and with "retry" they start again
// as their next attempt.
//
// The notes lie beside the journal, and go with it when the run is complete. The kernel has a note
// when note() returns, so a killed driver loses none; fsync once a second bounds what a power cut
// can cost.

import { closeSync, fdatasync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError, messageOf } from "../error.ts";
import { isJsonObject } from "../task/json.ts";
import { OWN_FILE, OWN_FOLDER, openOwnSync } from "../task/own-files.ts";
import type { Task } from "../task/task.ts";
import { journalPath } from "./journal.ts";

export type Admission = Pick<Task, "rowId" | "trial" | "attempt">;

const FILE = "admitted.jsonl";
const SYNC_MS = 1000;
/** The attempt in a note that takes the earlier notes of its task back. */
const WITHDRAWN = 0;

export class Admissions {
  readonly #path: string;
  /** The latest attempt of each task that an earlier driver sent out and that has no record. */
  readonly #before: ReadonlyMap<string, Admission>;
  readonly #syncing: NodeJS.Timeout;
  #file: number | null = null;
  #dirty = false;

  /** Reads the notes of earlier drivers, and leaves out tasks that have a record by now. */
  static async open(
    directory: string,
    isRecorded: (rowId: string, trial: number) => boolean,
  ): Promise<Admissions> {
    const path = join(journalPath(directory), FILE);
    const text = await readFile(path, "utf8").catch(() => "");
    const before = new Map<string, Admission>();
    for (const line of text.split("\n")) {
      const note = parse(line);
      if (note === null || isRecorded(note.rowId, note.trial)) continue;
      const key = keyFor(note.rowId, note.trial);
      if (note.attempt === WITHDRAWN) before.delete(key);
      else if (note.attempt > (before.get(key)?.attempt ?? 0)) before.set(key, note);
    }
    const admissions = new Admissions(path, before);
    if (text !== "") admissions.#rewrite();
    return admissions;
  }

  private constructor(path: string, before: ReadonlyMap<string, Admission>) {
    this.#path = path;
    this.#before = before;
    this.#syncing = setInterval(() => this.#sync(), SYNC_MS);
    this.#syncing.unref();
  }

  /** The attempt with which an earlier driver sent the task out last; 0 when none did. */
  attemptBefore(rowId: string, trial: number): number {
    return this.#before.get(keyFor(rowId, trial))?.attempt ?? 0;
  }

  /** Returns when the kernel has the notes. Fails with `storage_failed`. */
  note(tasks: readonly Admission[]): void {
    try {
      if (this.#file === null) {
        mkdirSync(join(this.#path, ".."), { recursive: true, mode: OWN_FOLDER });
        this.#file = openOwnSync(this.#path, "a");
      }
      write(this.#file, tasks);
      this.#dirty = true;
    } catch (cause) {
      throw new MatrixError(
        "storage_failed",
        `cannot write to ${this.#path}: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  /** Notes that a task has ended without a record and begins anew (run.stop_after). */
  withdraw(task: Pick<Admission, "rowId" | "trial">): void {
    try {
      this.note([{ ...task, attempt: WITHDRAWN }]);
    } catch {
      // The earlier note stays, and the next record reports what is wrong with the storage.
    }
  }

  close(): void {
    clearInterval(this.#syncing);
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  /** Keeps what is still in flight, so that the notes do not grow from start to start. */
  #rewrite(): void {
    const draft = `${this.#path}.new`;
    rmSync(draft, { force: true });
    const file = openSync(draft, "wx", OWN_FILE);
    write(file, [...this.#before.values()]);
    closeSync(file);
    renameSync(draft, this.#path);
  }

  #sync(): void {
    if (this.#file === null || !this.#dirty) return;
    this.#dirty = false;
    // The next write reports what is wrong.
    fdatasync(this.#file, () => undefined);
  }
}

function keyFor(rowId: string, trial: number): string {
  return `${trial}:${rowId}`;
}

function write(file: number, tasks: readonly Admission[]): void {
  const lines = tasks.map(({ rowId, trial, attempt }) =>
    JSON.stringify({ row: rowId, trial, attempt }),
  );
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

/** The note in a line; null for one that is not whole, as a power cut leaves it. */
function parse(line: string): Admission | null {
  try {
    const value: unknown = JSON.parse(line);
    if (!isJsonObject(value)) return null;
    const { row, trial, attempt } = value;
    if (typeof row !== "string" || typeof trial !== "number" || typeof attempt !== "number")
      return null;
    return { rowId: row, trial, attempt };
  } catch {
    return null;
  }
}
