// The index as it stands on the disk. Opening it reads its last rows, and compares these and a few
// others with the records: an index that disagrees with them is never used. A row whose end is
// missing, as after a kill or a power cut, is left out together with all rows after it.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeFrame, FrameWalker } from "../../dataset/zstd.ts";
import { BEGINNING, type From } from "../record-file.ts";
import { lineSum, rowSum } from "./entry-table.ts";
import {
  DOUBLE,
  FILES,
  FLAG_OVERLONG,
  FLAG_WRITTEN,
  headerOf,
  INDEX_FOLDER,
  KEY_BYTES,
  KEY_WORDS,
  ROW_BYTES,
  ROW_DOUBLES,
  ROW_WORDS,
  WORD,
} from "./layout.ts";

/** Rows that are compared with their records when the index is opened, evenly spread. */
const SAMPLES = 32;
/** Rows that are read at once. */
const CHUNK_ROWS = 16_384;
/** Rows around the last one that was asked for are kept. */
const CACHED_ROWS = 256;
/** Records that are compared with their rows before a run goes on: more than a second writes. */
const CHECKED_BYTES = 64 * 2 ** 20;
const CHUNK_KEYS = 256 * 1024;

/** Rows one after the other, as numbers. */
export interface Rows {
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  readonly count: number;
}

export class StoredIndex {
  readonly folder: string;
  readonly strings: readonly string[];
  /** Bytes of the file of strings that count. */
  readonly stringBytes: number;
  readonly #rows: number;
  readonly #keys: number;
  readonly #texts: number;
  /** Number of rows that count. */
  size: number;
  /** The place of the first record that has no row. */
  end: From = BEGINNING;
  /** Bytes of texts that rows have. */
  textBytes = 0;
  #cache: Rows = rowsOf(new ArrayBuffer(0));
  #cachedFrom = 0;
  /** Rows from the first one on that are known to be whole. */
  #checked = 0;

  private constructor(folder: string, { strings, bytes }: Strings) {
    this.folder = folder;
    this.strings = strings;
    this.stringBytes = bytes;
    this.#rows = openSync(join(folder, FILES.rows), "r");
    this.#keys = openSync(join(folder, FILES.keys), "r");
    this.#texts = openSync(join(folder, FILES.texts), "r");
    this.size = Math.max(
      0,
      Math.min(
        Math.floor(fstatSync(this.#rows).size / ROW_BYTES) - 1,
        Math.floor(fstatSync(this.#keys).size / KEY_BYTES),
      ),
    );
  }

  /**
   * Opens the index beside the records at `path`. Null when it is missing or disagrees with
   * the records.
   */
  static async open(directory: string, path: string): Promise<StoredIndex | null> {
    const folder = join(directory, INDEX_FOLDER);
    const strings = await readStrings(join(folder, FILES.strings));
    if (strings === null) return null;
    let index: StoredIndex;
    try {
      index = new StoredIndex(folder, strings);
    } catch {
      return null;
    }
    const agrees = index.#hasHeader() && index.#compare(path);
    if (agrees) return index;
    index.close();
    return null;
  }

  /** The block of rows that holds `n`, and the place of `n` in it. */
  rowAt(n: number): { readonly rows: Rows; readonly at: number } {
    const at = n - this.#cachedFrom;
    if (at < 0 || at >= this.#cache.count) {
      this.#cachedFrom = Math.max(0, Math.floor(n / CACHED_ROWS) * CACHED_ROWS);
      this.#cache = this.#read(this.#cachedFrom, CACHED_ROWS);
    }
    return { rows: this.#cache, at: n - this.#cachedFrom };
  }

  /**
   * All rows in their order, each chunk valid until the next. Ends early at a damaged row.
   */
  *chunks(): Generator<Rows & { readonly from: number }> {
    const buffer = new ArrayBuffer(Math.min(CHUNK_ROWS, this.size) * ROW_BYTES);
    for (let from = 0; from < this.size; from += CHUNK_ROWS) {
      const rows = this.#read(from, CHUNK_ROWS, buffer);
      if (rows.count < Math.min(CHUNK_ROWS, this.size - from)) return;
      if (from >= this.#checked)
        for (let n = 0; n < rows.count; n++) if (!isWhole(rows.words, n)) return;
      this.#checked = Math.max(this.#checked, from + rows.count);
      yield { ...rows, from };
    }
  }

  /** All keys, from the last chunk to the first. */
  *keyChunks(): Generator<{ readonly keys: Uint32Array; readonly from: number }> {
    const last = Math.max(0, Math.floor((this.size - 1) / CHUNK_KEYS)) * CHUNK_KEYS;
    for (let from = last; from >= 0; from -= CHUNK_KEYS) {
      yield { keys: this.keys(from, Math.min(CHUNK_KEYS, this.size - from)), from };
    }
  }

  /** The keys of some rows. */
  keys(from: number, count: number): Uint32Array {
    const keys = new Uint32Array(count * KEY_WORDS);
    readAt(this.#keys, new Uint8Array(keys.buffer), from * KEY_BYTES);
    return keys;
  }

  /** True when every row is whole. */
  isSound(): boolean {
    let whole = 0;
    for (const { count } of this.chunks()) whole += count;
    return whole === this.size;
  }

  idOf(n: number): string {
    const { rows, at } = this.rowAt(n);
    const { idStart, idEnd } = placeOf(rows, at);
    return this.textAt(idStart, idEnd - idStart);
  }

  /** The task of a row, and the number of its line. */
  taskOf(n: number): { readonly id: string; readonly trial: number; readonly number: number } {
    const { rows, at } = this.rowAt(n);
    const trial = rows.words[at * ROW_WORDS + WORD.trial] ?? 0;
    return { id: this.idOf(n), trial, number: n + 1 };
  }

  /** Compares the last records with their rows: a power cut may have left holes in them. */
  agreesAtEnd(path: string): boolean {
    const records = openSync(path, "r");
    try {
      for (let n = this.size - 1, bytes = 0; n >= 0 && bytes < CHECKED_BYTES; n--) {
        if (!this.#agrees(n, records)) return false;
        const { rows, at } = this.rowAt(n);
        bytes += placeOf(rows, at).bytes;
      }
      return true;
    } finally {
      closeSync(records);
    }
  }

  textAt(position: number, bytes: number): string {
    const text = Buffer.allocUnsafe(bytes);
    return text.toString("utf8", 0, readAt(this.#texts, text, position));
  }

  /** The bytes of the ids of some rows, and the position of the first one. */
  textsOf(rows: Rows): { readonly bytes: Buffer; readonly from: number } {
    const from = placeOf(rows, 0).idStart;
    const bytes = Buffer.allocUnsafe(Math.max(0, placeOf(rows, rows.count - 1).idEnd - from));
    return { bytes: bytes.subarray(0, readAt(this.#texts, bytes, from)), from };
  }

  /** All texts of ids. */
  texts(): Buffer {
    const texts = Buffer.allocUnsafe(this.textBytes);
    return texts.subarray(0, readAt(this.#texts, texts, 0));
  }

  close(): void {
    for (const file of [this.#rows, this.#keys, this.#texts]) closeSync(file);
  }

  #hasHeader(): boolean {
    const expected = headerOf();
    const header = Buffer.alloc(ROW_BYTES);
    return readAt(this.#rows, header, 0) === ROW_BYTES && header.equals(expected);
  }

  /** Finds the last row that counts, and compares it and others with the records. */
  #compare(path: string): boolean {
    let records: number;
    try {
      records = openSync(path, "r");
    } catch {
      return false;
    }
    try {
      const { size } = fstatSync(records);
      while (this.size > 0 && !this.#isInside(this.size - 1, size)) this.size--;
      if (this.size === 0) return true;
      for (let sample = 0; sample < SAMPLES; sample++) {
        const n = Math.floor((sample * (this.size - 1)) / (SAMPLES - 1));
        if (!this.#agrees(n, records)) return false;
      }
      this.#setEnd();
      return true;
    } finally {
      closeSync(records);
    }
  }

  /** True for a row that is whole, and whose line, texts and strings are in their files. */
  #isInside(n: number, recordBytes: number): boolean {
    const { rows, at } = this.rowAt(n);
    if (at >= rows.count || !isWhole(rows.words, at)) return false;
    const { offset, bytes, frameBytes, idEnd } = placeOf(rows, at);
    const end = frameBytes === 0 ? offset + bytes + 1 : offset + frameBytes;
    const strings = rows.words[at * ROW_WORDS + WORD.strings] ?? 0;
    // The empty string has a number and no line in the file.
    const hasStrings = strings <= this.strings.length + 1;
    return end <= recordBytes && hasStrings && idEnd <= fstatSync(this.#texts).size;
  }

  /** Compares a row with the line of its record. */
  #agrees(n: number, records: number): boolean {
    const { rows, at } = this.rowAt(n);
    if (!isWhole(rows.words, at)) return false;
    const place = placeOf(rows, at);
    if (place.overlong || place.sum === 0) return true;
    const line = readLine(records, place);
    return line !== null && lineSum(line) === place.sum;
  }

  /**
   * The rows of the last frame of a compressed file may be there in part, so they are left to be
   * read again.
   */
  #setEnd(): void {
    const last = this.rowAt(this.size - 1);
    const { offset, bytes, frameBytes, idEnd } = placeOf(last.rows, last.at);
    this.textBytes = idEnd;
    if (frameBytes === 0) {
      this.end = { offset: offset + bytes + 1, lines: this.size };
      return;
    }
    let inFrame = 0;
    while (this.size > 0) {
      const { rows, at } = this.rowAt(this.size - 1);
      const place = placeOf(rows, at);
      if (place.offset !== offset) break;
      inFrame = place.inFrame;
      this.textBytes = place.idStart;
      this.size--;
    }
    this.end = { offset, lines: this.size, inFrame };
  }

  #read(from: number, count: number, buffer?: ArrayBuffer): Rows {
    const bytes = Math.max(0, Math.min(count, this.size - from)) * ROW_BYTES;
    const into = buffer ?? new ArrayBuffer(bytes);
    const read = readAt(this.#rows, new Uint8Array(into, 0, bytes), (from + 1) * ROW_BYTES);
    return read === into.byteLength
      ? rowsOf(into)
      : rowsOf(into.slice(0, Math.floor(read / ROW_BYTES) * ROW_BYTES));
  }
}

interface Strings {
  readonly strings: readonly string[];
  readonly bytes: number;
}

/** The strings in a file, without a torn last line; null when it is missing or cannot be read. */
async function readStrings(path: string): Promise<Strings | null> {
  try {
    const content = await readFile(path);
    const bytes = content.lastIndexOf("\n") + 1;
    const lines = content.toString("utf8", 0, bytes).split("\n").slice(0, -1);
    const strings = lines.map((line) => JSON.parse(line) as unknown);
    return strings.every((string) => typeof string === "string") ? { strings, bytes } : null;
  } catch {
    return null;
  }
}

function rowsOf(buffer: ArrayBuffer): Rows {
  const doubles = new Float64Array(buffer);
  return { words: new Uint32Array(buffer), doubles, count: doubles.length / ROW_DOUBLES };
}

function isWhole(words: Uint32Array, n: number): boolean {
  const at = n * ROW_WORDS;
  return words[at + WORD.row_sum] === rowSum(words, at);
}

/** The places of the parts of a record. */
export interface RowPlace {
  readonly offset: number;
  readonly frameBytes: number;
  readonly inFrame: number;
  readonly bytes: number;
  readonly sum: number;
  readonly overlong: boolean;
  /** True for a line that the sink wrote. */
  readonly written: boolean;
  readonly idStart: number;
  readonly idEnd: number;
}

export function placeOf({ words, doubles }: Omit<Rows, "count">, at: number): RowPlace {
  const word = (name: keyof typeof WORD) => words[at * ROW_WORDS + WORD[name]] ?? 0;
  const double = (name: keyof typeof DOUBLE) => doubles[at * ROW_DOUBLES + DOUBLE[name]] ?? 0;
  const idStart = double("id_offset");
  return {
    offset: double("offset"),
    frameBytes: word("frame_bytes"),
    inFrame: word("in_frame"),
    bytes: word("bytes"),
    sum: word("line_sum"),
    overlong: ((word("kinds") >> 8) & FLAG_OVERLONG) !== 0,
    written: ((word("kinds") >> 8) & FLAG_WRITTEN) !== 0,
    idStart,
    idEnd: idStart + word("id_bytes"),
  };
}

/** The bytes of a line; null when they are not there. */
export function readLine(file: number, place: RowPlace): Buffer | null {
  const { offset, frameBytes, inFrame, bytes } = place;
  const wanted = Buffer.allocUnsafe(frameBytes === 0 ? bytes : frameBytes);
  if (readAt(file, wanted, offset) < wanted.length) return null;
  if (frameBytes === 0) return wanted;
  const content = contentOf(wanted);
  return inFrame + bytes <= content.length ? content.subarray(inFrame, inFrame + bytes) : null;
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
  return Buffer.concat(contents);
}

/** Fills the bytes from a position of the file. Returns how many there were. */
function readAt(file: number, bytes: Uint8Array, position: number): number {
  let read = 0;
  while (read < bytes.length) {
    const more = readSync(file, bytes, read, bytes.length - read, position + read);
    if (more === 0) break;
    read += more;
  }
  return read;
}
