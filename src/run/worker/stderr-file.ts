// The file that a worker process prints to. A pipe would break when its reader is killed, and the
// worker must outlive its reader. The file is bounded, and its end tells why a worker died.

import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from "node:fs";
import { openOwnSync } from "../../task/own-files.ts";

const FILE_BYTES_MAX = 1024 * 1024;
const TAIL_BYTES_MAX = 8192;
const ERROR_LINES_MAX = 12;
const LINE_CHARS_MAX = 400;

export class StderrFile {
  readonly #path: string;
  /** Offset at which the output of the current process begins. */
  #begin = 0;
  /** Offset at which the next `takeNew` begins. */
  #taken = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens a descriptor for a new process, which the caller closes. Null when the file cannot be
   * opened: the process runs without it.
   */
  open(): number | null {
    this.bound();
    try {
      const descriptor = openOwnSync(this.#path, "a");
      this.#begin = fstatSync(descriptor).size;
      return descriptor;
    } catch {
      return null;
    }
  }

  /** Cuts a file that has grown down to its end. Output of that very moment may be lost. */
  bound(): void {
    try {
      if (statSync(this.#path).size > FILE_BYTES_MAX) this.#cut();
    } catch {
      // There is no file yet, or its disk is gone.
    }
  }

  /** Writes the end over the beginning before it shortens the file: later output comes after it. */
  #cut(): void {
    const tail = this.#read(0);
    const descriptor = openOwnSync(this.#path, "r+");
    try {
      writeSync(descriptor, tail, 0, tail.length, 0);
      ftruncateSync(descriptor, tail.length);
      this.#begin = 0;
    } finally {
      closeSync(descriptor);
    }
  }

  /** Output since the last call, at most the last 8 kB of it. */
  takeNew(): string {
    try {
      const { size } = statSync(this.#path);
      if (size === this.#taken) return "";
      const text = this.#read(size < this.#taken ? 0 : this.#taken).toString("utf8");
      this.#taken = size;
      return text;
    } catch {
      return "";
    }
  }

  /** End of the output of this process, at most 8 kB. */
  tail(): string {
    try {
      return this.#read(this.#begin).toString("utf8");
    } catch {
      return "";
    }
  }

  #read(from: number): Buffer {
    const descriptor = openSync(this.#path, "r");
    try {
      const { size } = fstatSync(descriptor);
      const begin = Math.max(size < from ? 0 : from, size - TAIL_BYTES_MAX);
      const bytes = Buffer.alloc(Math.max(0, size - begin));
      return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, begin));
    } finally {
      closeSync(descriptor);
    }
  }
}

/** The output from the last line that looks like an error; without such a line, the last lines. */
export function lastErrorOf(output: string): string {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const last = lines.findLastIndex((line) =>
    /^\s*(?:uncaught\s)?[\w.]*(?:error|exception|panic|fatal)\b/i.test(line),
  );
  const chosen = last === -1 ? lines.slice(-3) : lines.slice(last, last + ERROR_LINES_MAX);
  return chosen.map((line) => line.slice(0, LINE_CHARS_MAX).trimEnd()).join("\n");
}
