// The journal of a run as its driver sees it: a folder of segments that hosts append answers to
// (src/model/answers/answer-files.ts). The driver removes a segment when no host writes to it any
// more and all its tasks are recorded, so the journal stays as small as what is in flight.

import { createReadStream } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { splitLines } from "../dataset/lines.ts";
import { parseAnswer, parseSegmentName } from "../model/answers/answer-line.ts";
import type { Confirm } from "./held-lock.ts";

const TRIM_MS = 5000;

export interface JournalOptions {
  /** The run directory. */
  readonly directory: string;
  readonly isRecorded: (rowId: string, trial: number) => boolean;
  /**
   * Tells whether the process of that name lives. A living process still writes to its newest
   * segment.
   */
  readonly isWriting: (writer: string) => boolean;
  /** Called before segments are removed; when it fails they stay. */
  readonly confirm?: Confirm;
}

interface TaskName {
  readonly row: string;
  readonly trial: number;
}

export function journalPath(directory: string): string {
  return join(directory, "journal");
}

/** Removes the whole journal of a run that is complete. */
export async function removeJournal(directory: string): Promise<void> {
  await rm(journalPath(directory), { recursive: true }).catch(() => undefined);
}

export class JournalTrimmer {
  readonly #options: JournalOptions;
  readonly #folder: string;
  /** The tasks of each closed segment that had no record at the last look. */
  readonly #closed = new Map<string, readonly TaskName[]>();
  readonly #trimming: NodeJS.Timeout;
  #running: Promise<void> | null = null;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#folder = journalPath(options.directory);
    this.#trimming = setInterval(() => void this.trim(), TRIM_MS);
    this.#trimming.unref();
  }

  /**
   * Removes segments that are no longer needed. One that cannot be read or removed is tried again
   * next time.
   */
  trim(): Promise<void> {
    this.#running ??= this.#trim()
      .catch(() => undefined)
      .finally(() => {
        this.#running = null;
      });
    return this.#running;
  }

  async stop(): Promise<void> {
    clearInterval(this.#trimming);
    await this.#running;
  }

  async #trim(): Promise<void> {
    const { confirm } = this.#options;
    const names = await readdir(this.#folder).catch(() => []);
    for (const name of closedSegments(names, this.#options.isWriting)) {
      const path = join(this.#folder, name);
      const left = this.#unrecorded(
        this.#closed.get(name) ?? (await tasksOf(path).catch(() => null)),
      );
      if (left === null) continue;
      this.#closed.set(name, left);
      if (left.length > 0) continue;
      await confirm?.();
      await rm(path).catch(() => undefined);
      this.#closed.delete(name);
    }
  }

  #unrecorded(tasks: readonly TaskName[] | null): readonly TaskName[] | null {
    return tasks === null
      ? null
      : tasks.filter(({ row, trial }) => !this.#options.isRecorded(row, trial));
  }
}

/** The segments that no process writes to: all but the newest of each living writer. */
function closedSegments(
  names: readonly string[],
  isWriting: JournalOptions["isWriting"],
): string[] {
  const segments = names.flatMap((name) => {
    const parsed = parseSegmentName(name);
    return parsed === null ? [] : [{ name, ...parsed }];
  });
  const newest = new Map<string, number>();
  for (const { writer, number } of segments)
    newest.set(writer, Math.max(newest.get(writer) ?? 0, number));
  return segments
    .filter(({ writer, number }) => number < (newest.get(writer) ?? 0) || !isWriting(writer))
    .map(({ name }) => name);
}

/** Each task that has an answer in the segment, once. */
async function tasksOf(path: string): Promise<readonly TaskName[]> {
  const tasks = new Map<string, TaskName>();
  for await (const lines of splitLines(createReadStream(path))) {
    for (const { text } of lines) {
      const { row = null, trial = null } = parseAnswer(text) ?? {};
      if (row !== null && trial !== null) tasks.set(`${trial}:${row}`, { row, trial });
    }
  }
  return [...tasks.values()];
}
