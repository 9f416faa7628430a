// Appends answers to segments that only this process writes to. The kernel has an answer when its
// append() resolves, so a killed process loses none; fsync once a second bounds the loss of a power
// cut. An answer that cannot be kept is still used: a full disk costs requests that are made again,
// not the run.
//
// Writes are synchronous. An asynchronous one waits until the event loop comes back to it, which
// takes long under a burst of answers, and a process that is killed meanwhile loses all of them.

import { closeSync, fdatasync, fstatSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { syncFolder } from "../../durable-file.ts";
import { messageOf } from "../../error.ts";
import { OWN_FILE } from "../../task/own-files.ts";
import { segmentName } from "./answer-line.ts";

const syncData = promisify(fdatasync);
const SYNC_MS = 1000;
/** After a failure, no segment is tried for this long. */
const PAUSE_MS = 10_000;

export interface AnswerWriterOptions {
  readonly folder: string;
  /** Names the process among all that ever write to the folder. */
  readonly writer: string;
  readonly segmentBytes: number;
  /** Called before each write; an answer for which it fails is not kept. */
  readonly confirm?: () => Promise<void>;
  /** Called once, with the reason, when answers cannot be kept. */
  readonly onFailure: (why: string) => void;
}

interface Segment {
  readonly path: string;
  readonly file: number;
  bytes: number;
  /** True when its name in the folder survives a power cut. */
  isNamed: boolean;
}

export class AnswerWriter {
  readonly #options: AnswerWriterOptions;
  readonly #syncing: NodeJS.Timeout;
  #segment: Segment | null = null;
  #number = 0;
  #pending: string[] = [];
  #writing: Promise<void> | null = null;
  #dirty = false;
  #pausedUntil = 0;
  #failures = 0;

  constructor(options: AnswerWriterOptions) {
    this.#options = options;
    this.#syncing = setInterval(() => void this.#sync(), SYNC_MS);
    this.#syncing.unref();
  }

  /** Resolves when the kernel has the line, or the line cannot be kept. */
  append(line: string): Promise<void> {
    this.#pending.push(line);
    // Answers that arrive in this turn of the event loop go out in the same write.
    this.#writing ??= this.#writeAll();
    return this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#syncing);
    await this.#writing;
    await this.#sync();
    this.#leave();
  }

  async #writeAll(): Promise<void> {
    const { confirm } = this.#options;
    await confirm?.().catch(() => {
      this.#pending = [];
    });
    if (confirm === undefined) await Promise.resolve();
    this.#writing = null;
    const bytes = Buffer.from(this.#pending.join(""));
    this.#pending = [];
    if (bytes.length > 0 && performance.now() >= this.#pausedUntil) this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    try {
      if (this.#segment !== null && this.#segment.bytes >= this.#options.segmentBytes)
        this.#leave();
      this.#segment ??= this.#begin();
      for (let written = 0; written < bytes.length; )
        written += writeSync(this.#segment.file, bytes, written);
      this.#segment.bytes += bytes.length;
      this.#dirty = true;
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #begin(): Segment {
    this.#number++;
    const path = join(this.#options.folder, segmentName(this.#options.writer, this.#number));
    return { path, file: openSync(path, "ax", OWN_FILE), bytes: 0, isNamed: false };
  }

  /** Leaves the segment, which may end in the middle of a line. */
  #fail(cause: unknown): void {
    this.#pausedUntil = performance.now() + PAUSE_MS;
    const segment = this.#segment;
    this.#leave();
    if (segment?.bytes === 0) removeQuietly(segment.path);
    if (this.#failures++ === 0) this.#options.onFailure(messageOf(cause));
  }

  #leave(): void {
    const segment = this.#segment;
    const isDirty = this.#dirty;
    this.#segment = null;
    this.#dirty = false;
    if (segment === null) return;
    const close = () => closeQuietly(segment.file);
    if (isDirty) void syncData(segment.file).then(close, close);
    else close();
  }

  async #sync(): Promise<void> {
    const segment = this.#segment;
    if (segment === null || !this.#dirty) return;
    this.#dirty = false;
    try {
      await syncData(segment.file);
      if (!segment.isNamed) await syncFolder(this.#options.folder);
      segment.isNamed = true;
      // A driver that took this process for dead has removed the segment, so no reader would find
      // what is written to it.
      if (this.#segment === segment && fstatSync(segment.file).nlink === 0) this.#leave();
    } catch (cause) {
      if (this.#segment === segment) this.#fail(cause);
    }
  }
}

/** The failure that led here is the one to report. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {}
}

function closeQuietly(file: number): void {
  try {
    closeSync(file);
  } catch {}
}
