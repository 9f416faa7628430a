// Appends answers to segments that only this process writes to. The kernel has an answer when its
// append() resolves, so a killed process loses none; fsync once a second bounds the loss of a power
// cut. An answer that cannot be kept is still used: a full disk costs requests that are made again,
// not the run.

import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "../../durable-file.ts";
import { messageOf } from "../../error.ts";
import { segmentName } from "./answer-line.ts";

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
  readonly file: FileHandle;
  bytes: number;
  /** True when its name in the folder survives a power cut. */
  isNamed: boolean;
}

export class AnswerWriter {
  readonly #options: AnswerWriterOptions;
  readonly #syncing: NodeJS.Timeout;
  #segment: Segment | null = null;
  #number = 0;
  #pending: { readonly line: string; readonly resolve: () => void }[] = [];
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
    return new Promise((resolve) => {
      this.#pending.push({ line, resolve });
      this.#writing ??= this.#writeAll();
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#syncing);
    await this.#writing;
    await this.#sync();
    await this.#leave();
  }

  /** Writes everything that waits with one write, until nothing waits. */
  async #writeAll(): Promise<void> {
    // Answers that arrive in this turn of the event loop go out in the same write.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      await this.#write(Buffer.from(batch.map(({ line }) => line).join("")));
      for (const { resolve } of batch) resolve();
    }
    this.#writing = null;
  }

  async #write(bytes: Buffer): Promise<void> {
    if (performance.now() < this.#pausedUntil) return;
    if (!(await this.#mayWrite())) return;
    try {
      if (this.#segment !== null && this.#segment.bytes >= this.#options.segmentBytes)
        await this.#leave();
      this.#segment ??= await this.#begin();
      const { file } = this.#segment;
      for (let written = 0; written < bytes.length; )
        written += (await file.write(bytes, written, bytes.length - written)).bytesWritten;
      this.#segment.bytes += bytes.length;
      this.#dirty = true;
    } catch (cause) {
      await this.#fail(cause);
    }
  }

  async #mayWrite(): Promise<boolean> {
    const { confirm } = this.#options;
    if (confirm === undefined) return true;
    return confirm().then(
      () => true,
      () => false,
    );
  }

  async #begin(): Promise<Segment> {
    this.#number++;
    const path = join(this.#options.folder, segmentName(this.#options.writer, this.#number));
    return { path, file: await open(path, "ax"), bytes: 0, isNamed: false };
  }

  /** Leaves the segment, which may end in the middle of a line. */
  async #fail(cause: unknown): Promise<void> {
    this.#pausedUntil = performance.now() + PAUSE_MS;
    const segment = this.#segment;
    await this.#leave();
    if (segment?.bytes === 0) await rm(segment.path, { force: true }).catch(() => undefined);
    if (this.#failures++ === 0) this.#options.onFailure(messageOf(cause));
  }

  async #leave(): Promise<void> {
    const segment = this.#segment;
    const isDirty = this.#dirty;
    this.#segment = null;
    this.#dirty = false;
    if (segment === null) return;
    if (isDirty) await segment.file.datasync().catch(() => undefined);
    await segment.file.close().catch(() => undefined);
  }

  async #sync(): Promise<void> {
    const segment = this.#segment;
    if (segment === null || !this.#dirty) return;
    this.#dirty = false;
    try {
      await segment.file.datasync();
      if (!segment.isNamed) await syncFolder(this.#options.folder);
      segment.isNamed = true;
      // A driver that took this process for dead has removed the segment, so no reader would find
      // what is written to it.
      if ((await segment.file.stat()).nlink === 0 && this.#isIdleIn(segment)) await this.#leave();
    } catch (cause) {
      // A write that is under way reports by itself what is wrong.
      if (this.#isIdleIn(segment)) await this.#fail(cause);
    }
  }

  #isIdleIn(segment: Segment): boolean {
    return this.#segment === segment && this.#writing === null;
  }
}
