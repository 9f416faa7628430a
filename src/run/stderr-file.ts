// What a worker process prints: a file, not a pipe, because a pipe breaks when its reader is killed and the worker must outlive
// that. The file is bounded; its end says what a worker died of.

import {
  closeSync,
  fstatSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";

const FILE_BYTES_MAX = 1024 * 1024;
const TAIL_BYTES_MAX = 8192;
const ERROR_LINES_MAX = 12;
const LINE_CHARS_MAX = 400;

export class StderrFile {
  readonly #path: string;
  /** Where the output of the process that writes now begins. */
  #begin = 0;
  /** Where the next `takeNew` begins. */
  #taken = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** A descriptor for a new process, to be closed by the caller; null when the file cannot be opened: it runs without. */
  open(): number | null {
    this.bound();
    try {
      const descriptor = openSync(this.#path, "a");
      this.#begin = fstatSync(descriptor).size;
      return descriptor;
    } catch {
      return null;
    }
  }

  /** Cuts all but the end of a file that has grown. What is written to it in that moment may be lost. */
  bound(): void {
    try {
      if (statSync(this.#path).size <= FILE_BYTES_MAX) return;
      const tail = this.#read(0);
      truncateSync(this.#path);
      writeFileSync(this.#path, tail, { flag: "a" });
      this.#begin = 0;
    } catch {
      // There is none yet, or its disk is gone.
    }
  }

  /** What was printed since the last call, of 8 kB at most. */
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

  /** The end of what this process printed, of 8 kB at most. */
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

/** From the last line that looks like an error; without one, the last lines. */
export function lastErrorOf(output: string): string {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const last = lines.findLastIndex((line) =>
    /^\s*(?:uncaught\s)?[\w.]*(?:error|exception|panic|fatal)\b/i.test(line),
  );
  const chosen = last === -1 ? lines.slice(-3) : lines.slice(last, last + ERROR_LINES_MAX);
  return chosen.map((line) => line.slice(0, LINE_CHARS_MAX).trimEnd()).join("\n");
}
