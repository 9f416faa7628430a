// Where the records of a run are, with the fields that lists and filters need. The index stands in
// the run directory beside the records (DESIGN.md 10). The records are the truth: what the stored
// index does not cover, or says wrongly, is read from them into memory.
//
// Rows have the order of the file. Their number never shrinks while the index is open, unless a
// retry replaced the file.

import { closeSync, openSync, readSync, statSync } from "node:fs";
import { decodeFrame, FrameWalker } from "../../dataset/zstd.ts";
import { MatrixError } from "../../error.ts";
import { fingerprint } from "../../task/id-set.ts";
import type { StopReason, Usage } from "../../task/task.ts";
import { trajectoriesPath } from "../record-file.ts";
import { EntryTable } from "./entry-table.ts";
import {
  type CodeColumn,
  DOUBLE,
  FLAG_OVERLONG,
  FLAG_SIMULATED,
  KEY_WORDS,
  type NumberColumn,
  ROW_DOUBLES,
  ROW_WORDS,
  STATUSES,
  WORD,
} from "./layout.ts";
import { type ScanOptions, scanRecords } from "./scan-records.ts";
import { StringTable } from "./string-table.ts";

/** One record, as lists show it. */
export interface IndexRow {
  readonly id: string;
  readonly trial: number;
  readonly attempt: number;
  readonly status: "ok" | "failed" | "lost";
  readonly stopReason: StopReason;
  readonly score: number | null;
  /** `message` is shortened, and ids and long numbers are left out of it. */
  readonly error: {
    readonly code: string;
    readonly role: string | null;
    readonly hop: number | null;
    readonly message: string;
  } | null;
  readonly hops: number;
  readonly models: readonly string[];
  readonly simulated: boolean;
  readonly usage: Usage;
  readonly cost: number | null;
  /** Milliseconds since the epoch. */
  readonly admittedAt: number;
  readonly endedAt: number;
  readonly totalMs: number;
  readonly queueMs: number;
  readonly runMs: number;
  /** Bytes of the record's line. */
  readonly bytes: number;
}

/** A column of few different values: numbers of values, one for each row. */
export interface Codes {
  readonly codes: Uint32Array;
  /** The value of each number. */
  readonly values: readonly string[];
}

export class RunIndex {
  readonly directory: string;
  readonly #path: string;
  readonly #options: ScanOptions;
  #table = new EntryTable(new StringTable());
  #covered = { offset: 0, lines: 0 };

  private constructor(directory: string, options: ScanOptions) {
    this.directory = directory;
    this.#path = trajectoriesPath(directory);
    this.#options = options;
  }

  /** Fails with `run_refused` on a line that is not a record. */
  static async open(directory: string, options: ScanOptions = {}): Promise<RunIndex> {
    const index = new RunIndex(directory, options);
    await index.refresh();
    return index;
  }

  /** The number of records. */
  get size(): number {
    return this.#table.size;
  }

  /** Takes in what a live run has appended. Returns the number of new records. */
  async refresh(): Promise<number> {
    const before = this.size;
    const { size = 0 } = statSync(this.#path, { throwIfNoEntry: false }) ?? {};
    if (size < this.#covered.offset) {
      this.#table = new EntryTable(new StringTable());
      this.#covered = { offset: 0, lines: 0 };
    }
    if (size > this.#covered.offset)
      this.#covered = await scanRecords(this.#path, this.#covered, this.#table, this.#options);
    return this.size - before;
  }

  /** The record at place `n`, from 0. */
  row(n: number): IndexRow {
    const { words, doubles } = this.#rowAt(n);
    const double = (name: keyof typeof DOUBLE) => doubles[DOUBLE[name]] ?? Number.NaN;
    const word = (name: keyof typeof WORD) => words[WORD[name]] ?? 0;
    const string = (name: keyof typeof WORD) => this.#table.strings.at(word(name));
    const models = string("models");
    const role = string("role");
    return {
      id: this.#idOf(words, doubles),
      trial: word("trial"),
      attempt: word("attempt"),
      status: STATUSES[word("kinds") & 0xff] ?? "lost",
      stopReason: string("stop_reason") as StopReason,
      score: orNull(double("score")),
      error:
        word("error") === 0
          ? null
          : {
              code: string("error"),
              role: role === "" ? null : role,
              hop: word("error_hop") === 0 ? null : word("error_hop") - 1,
              message: string("message"),
            },
      hops: word("hops"),
      models: models === "" ? [] : models.split("\n"),
      simulated: ((word("kinds") >> 8) & FLAG_SIMULATED) !== 0,
      usage: usageOf(word, double("stated_cost")),
      cost: orNull(double("cost")),
      admittedAt: double("admitted_at"),
      endedAt: double("ended_at"),
      totalMs: double("total_ms"),
      queueMs: double("queue_ms"),
      runMs: double("run_ms"),
      bytes: word("bytes"),
    };
  }

  /** The id of the record at place `n`. */
  idOf(n: number): string {
    const { words, doubles } = this.#rowAt(n);
    return this.#idOf(words, doubles);
  }

  /** A column of numbers; NaN where a record has null. */
  async numbers(column: NumberColumn): Promise<Float64Array> {
    const values = new Float64Array(this.size);
    if (column in DOUBLE) {
      const place = DOUBLE[column as keyof typeof DOUBLE];
      const { doubles } = this.#table;
      for (let n = 0; n < values.length; n++) values[n] = doubles[n * ROW_DOUBLES + place] ?? 0;
      return values;
    }
    const place = WORD[column as keyof typeof WORD];
    const { words } = this.#table;
    for (let n = 0; n < values.length; n++) values[n] = words[n * ROW_WORDS + place] ?? 0;
    return values;
  }

  /** A column of few different values. */
  async codes(column: CodeColumn): Promise<Codes> {
    const codes = new Uint32Array(this.size);
    const { words } = this.#table;
    if (column === "status" || column === "simulated") {
      const [shift, mask] = column === "status" ? [0, 0xff] : [8, FLAG_SIMULATED];
      for (let n = 0; n < codes.length; n++)
        codes[n] = ((words[n * ROW_WORDS + WORD.kinds] ?? 0) >> shift) & mask;
      return { codes, values: column === "status" ? STATUSES : ["false", "true"] };
    }
    const place = WORD[column];
    for (let n = 0; n < codes.length; n++) codes[n] = words[n * ROW_WORDS + place] ?? 0;
    return { codes, values: this.#table.strings.all };
  }

  /** The place of a record; null when there is none. */
  async find(id: string, trial: number): Promise<number | null> {
    const [low, high] = fingerprint(id, trial);
    const { keys } = this.#table;
    for (let n = this.size - 1; n >= 0; n--) {
      if (keys[n * KEY_WORDS] !== low || keys[n * KEY_WORDS + 1] !== high) continue;
      const { words, doubles } = this.#rowAt(n);
      if (words[WORD.trial] === trial && this.#idOf(words, doubles) === id) return n;
    }
    return null;
  }

  /** The line of the record at place `n`, as it stands in the file. */
  async readRecord(n: number): Promise<string> {
    const { words, doubles } = this.#rowAt(n);
    const word = (place: number) => words[place] ?? 0;
    const offset = doubles[DOUBLE.offset] ?? 0;
    const [frameBytes, bytes] = [word(WORD.frame_bytes), word(WORD.bytes)];
    if (((word(WORD.kinds) >> 8) & FLAG_OVERLONG) !== 0)
      throw new MatrixError(
        "run_refused",
        `${this.#path}:${n + 1}: the record has ${bytes} bytes and is too long to be read`,
      );
    if (frameBytes === 0) return readBytes(this.#path, offset, bytes).toString("utf8");
    const content = contentOf(readBytes(this.#path, offset, frameBytes));
    const from = word(WORD.in_frame);
    return content.toString("utf8", from, from + bytes);
  }

  async close(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #rowAt(n: number): { readonly words: Uint32Array; readonly doubles: Float64Array } {
    if (!(n >= 0 && n < this.size)) throw new RangeError(`no record at place ${n} of ${this.size}`);
    return {
      words: this.#table.words.subarray(n * ROW_WORDS, (n + 1) * ROW_WORDS),
      doubles: this.#table.doubles.subarray(n * ROW_DOUBLES, (n + 1) * ROW_DOUBLES),
    };
  }

  #idOf(words: Uint32Array, doubles: Float64Array): string {
    return this.#table.textAt(doubles[DOUBLE.id_offset] ?? 0, words[WORD.id_bytes] ?? 0);
  }
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

function usageOf(word: (name: keyof typeof WORD) => number, statedCost: number): Usage {
  const detail = (name: keyof typeof WORD) => (word(name) === 0 ? {} : { [name]: word(name) });
  return {
    requests: word("requests"),
    prompt_tokens: word("prompt_tokens"),
    completion_tokens: word("completion_tokens"),
    ...detail("cached_tokens"),
    ...detail("cache_write_tokens"),
    ...detail("reasoning_tokens"),
    ...detail("failed_requests"),
    ...detail("estimated_requests"),
    ...(statedCost === 0 ? {} : { stated_cost: statedCost }),
  };
}

function readBytes(path: string, offset: number, length: number): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(length);
    let read = 0;
    while (read < length) {
      const more = readSync(file, bytes, read, length - read, offset + read);
      if (more === 0) break;
      read += more;
    }
    return bytes.subarray(0, read);
  } finally {
    closeSync(file);
  }
}

/** The content of one frame or more. */
function contentOf(frames: Buffer): Buffer {
  const walker = new FrameWalker();
  const contents: Buffer[] = [];
  for (let at = 0; at < frames.length; ) {
    const { bytes } = walker.take(frames.subarray(at));
    const content = decodeFrame(frames.subarray(at, at + bytes));
    if (content === null) break;
    contents.push(content);
    at += bytes;
  }
  return contents.length === 1 ? (contents[0] as Buffer) : Buffer.concat(contents);
}
