// Appends records to their file: whole and in order, one write at a time. Records that arrive
// during a write go out together with the next one. The kernel has a record when its append()
// resolves, so a killed process loses none; fsync once a second bounds the loss of a power cut. A
// compressed file gets one whole frame for each write, so the same holds for it.

import type { FileHandle } from "node:fs/promises";
import { encodeFrame } from "../dataset/zstd.ts";
import { MatrixError, messageOf } from "../error.ts";
import { openOwn } from "../task/own-files.ts";
import type { RecordLine } from "../task/record.ts";
import type { Confirm } from "./held-lock.ts";
import { lineSum, type Place } from "./index/entry-table.ts";
import { isCompressed } from "./record-file.ts";

const SYNC_MS = 1000;
const NEWLINE = 0x0a;
const BUFFER_BYTES = 4 * 2 ** 20;
/** UTF-8 takes at most three bytes for a UTF-16 code unit. */
const BYTES_PER_UNIT_MAX = 3;

/** Called with the number of each line of an append, in their order, when the kernel has it. */
export type OnWritten = (line: number, place: Place) => void;

/** A line in the buffer. */
interface Span {
  readonly start: number;
  readonly bytes: number;
  /** The number of the line in its append. */
  readonly line: number;
  readonly onWritten: OnWritten;
}

interface Pending {
  readonly lines: readonly RecordLine[];
  readonly onWritten: OnWritten | null;
  readonly resolve: () => void;
  readonly reject: (error: MatrixError) => void;
}

export class RecordWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #compressed: boolean;
  readonly #confirm: Confirm;
  readonly #syncing: NodeJS.Timeout;
  /** Byte offset where the last whole record ends. */
  #bytes: number;
  /**
   * Encoded records on their way to the file. One buffer serves the whole run; it grows for a
   * larger record, and shrinks after it.
   */
  #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #pending: Pending[] = [];
  #writing: Promise<void> | null = null;
  #dirty = false;
  /** Chains the syncs, so that the last one waits for the one that is under way. */
  #synced: Promise<void> = Promise.resolve();
  #failure: MatrixError | null = null;

  private constructor(path: string, file: FileHandle, bytes: number, confirm: Confirm) {
    this.#path = path;
    this.#file = file;
    this.#confirm = confirm;
    this.#compressed = isCompressed(path);
    this.#bytes = bytes;
    this.#syncing = setInterval(() => {
      if (this.#dirty) void this.#sync();
    }, SYNC_MS);
    this.#syncing.unref();
  }

  /**
   * Opens the file for appending after its first `bytes` bytes, which end with a whole record. The
   * rest is cut off. `confirm` is called before each change of the file.
   */
  static async open(
    path: string,
    bytes: number,
    confirm: Confirm = async () => undefined,
  ): Promise<RecordWriter> {
    const file = await openOwn(path, "a");
    try {
      await confirm();
      if ((await file.stat()).size > bytes) await file.truncate(bytes);
    } catch (cause) {
      await file.close();
      throw cause;
    }
    return new RecordWriter(path, file, bytes, confirm);
  }

  /**
   * Appends records, each a line without its newline. Resolves when the kernel has them. Fails with
   * `storage_failed`, and every later call fails with the same error.
   */
  append(lines: readonly RecordLine[], onWritten: OnWritten | null = null): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      this.#pending.push({ lines, onWritten, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /**
   * Resolves when the disk has every record. Fails with the error of the appends, or with that of
   * the last sync.
   */
  async close(): Promise<void> {
    clearInterval(this.#syncing);
    await this.#writing;
    // A file that was deleted after the last append is noticed here, too.
    await this.#sync();
    try {
      await this.#file.close();
    } catch (cause) {
      this.#failure ??= storageFailed(this.#path, cause);
    }
    if (this.#failure !== null) throw this.#failure;
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        await this.#writeLines(batch);
      } catch (cause) {
        await this.#fail(cause, batch);
        break;
      }
      for (const { resolve } of batch) resolve();
    }
    this.#writing = null;
  }

  async #writeLines(batch: readonly Pending[]): Promise<void> {
    let used = 0;
    let spans: Span[] = [];
    for (const { lines, onWritten } of batch) {
      for (const [number, line] of lines.entries()) {
        const needed = bytesMax(line);
        if (used + needed > this.#buffer.length) {
          await this.#write(used, spans);
          used = 0;
          spans = [];
          if (needed > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(needed);
        }
        const bytes = this.#encode(line, used);
        if (onWritten !== null) spans.push({ start: used, bytes, line: number, onWritten });
        used += bytes;
        this.#buffer[used++] = NEWLINE;
      }
    }
    await this.#write(used, spans);
    if (this.#buffer.length > BUFFER_BYTES) this.#buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  }

  /** Writes a line into the buffer, and returns its bytes. */
  #encode(line: RecordLine, start: number): number {
    let end = start;
    for (const part of line) {
      if (typeof part === "string") end += this.#buffer.write(part, end, "utf8");
      else {
        this.#buffer.set(part, end);
        end += part.length;
      }
    }
    return end - start;
  }

  /** Writes the first `used` bytes of the buffer, which are these lines. */
  async #write(used: number, spans: readonly Span[]): Promise<void> {
    const lines = this.#buffer.subarray(0, used);
    const bytes = this.#compressed ? await encodeFrame(lines) : lines;
    await this.#confirm();
    this.#dirty = true;
    // A write may be short, for example on a nearly full disk.
    for (let written = 0; written < bytes.length; ) {
      written += (await this.#file.write(bytes, written, bytes.length - written)).bytesWritten;
    }
    const before = this.#bytes;
    this.#bytes += bytes.length;
    for (const span of spans) span.onWritten(span.line, this.#placeOf(span, before));
  }

  #placeOf({ start, bytes }: Span, written: number): Place {
    const sum = lineSum(this.#buffer.subarray(start, start + bytes));
    return this.#compressed
      ? { offset: written, frameBytes: this.#bytes - written, inFrame: start, bytes, sum }
      : { offset: written + start, frameBytes: 0, inFrame: 0, bytes, sum };
  }

  /** Cuts off what was written of the failed batch, and rejects everything that waits. */
  async #fail(cause: unknown, batch: readonly Pending[]): Promise<void> {
    const failure = await this.#failureOf(cause);
    this.#failure ??= failure;
    // The file of another driver is not this one's to cut.
    if (failure.code !== "run_taken") await this.#file.truncate(this.#bytes).catch(() => undefined);
    for (const { reject } of [...batch, ...this.#pending.splice(0)]) reject(this.#failure);
  }

  #sync(): Promise<void> {
    this.#dirty = false;
    this.#synced = this.#synced.then(() => this.#syncNow());
    return this.#synced;
  }

  async #syncNow(): Promise<void> {
    if (this.#failure !== null) return;
    try {
      await this.#file.datasync();
      // A deleted file still takes writes, but no later process can read them.
      if ((await this.#file.stat()).nlink === 0) throw new Error("the file was deleted");
    } catch (cause) {
      const failure = await this.#failureOf(cause);
      this.#failure ??= failure;
    }
  }

  /** A driver that took the directory over is the cause of any other trouble with the file. */
  async #failureOf(cause: unknown): Promise<MatrixError> {
    try {
      await this.#confirm();
    } catch (thrown) {
      if (thrown instanceof MatrixError) return thrown;
    }
    return storageFailed(this.#path, cause);
  }
}

/** An upper bound for the bytes of a line and its newline. */
function bytesMax(line: RecordLine): number {
  let bytes = 1;
  for (const part of line)
    bytes += typeof part === "string" ? part.length * BYTES_PER_UNIT_MAX : part.length;
  return bytes;
}

function storageFailed(path: string, cause: unknown): MatrixError {
  const full = (cause as { code?: unknown }).code === "ENOSPC";
  const hint = full
    ? "free some space and run the same command again"
    : "run the same command again when the storage is back";
  return new MatrixError(
    "storage_failed",
    `cannot write ${path}: ${full ? "the disk is full" : messageOf(cause)}`,
    {
      cause,
      hint: `${hint}; the run continues after its last record`,
    },
  );
}
