// The places of a run's records, with the fields that lists and filters need. The index stands in
// the run directory beside the records. The records are the truth: what the stored
// index does not cover, or says wrongly, is read from them into memory.
//
// Rows have the order of the file. They stay in their places while the index is open, unless a
// retry replaced the file of the records.

import { closeSync, openSync, statSync } from "node:fs";
import { MatrixError } from "../../error.ts";
import { fingerprint } from "../../task/id-set.ts";
import { BEGINNING, type From, trajectoriesPath } from "../record-file.ts";
import { EntryTable } from "./entry-table.ts";
import { type IndexRow, rowFrom } from "./index-row.ts";
import {
  type CodeColumn,
  DOUBLE,
  FLAG_SIMULATED,
  KEY_WORDS,
  type NumberColumn,
  ROW_DOUBLES,
  ROW_WORDS,
  STATUSES,
  WORD,
} from "./layout.ts";
import { rebuildIndex } from "./rebuild.ts";
import { type ScanOptions, scanRecords } from "./scan-records.ts";
import { placeOf, type Rows, readLine, StoredIndex } from "./stored-index.ts";
import { StringTable } from "./string-table.ts";

/** A column of few different values: numbers of values, one for each row. */
export interface Codes {
  readonly codes: Uint32Array;
  /** The value of each number. */
  readonly values: readonly string[];
}

/** Rows in memory after which a stored index that has grown is opened again. */
const HELD_MAX = 20_000;

/** Columns by their names, each with a value for every row. */
export interface Columns<N extends NumberColumn, C extends CodeColumn> {
  readonly numbers: Readonly<Record<N, Float64Array | Uint32Array>>;
  readonly codes: Readonly<
    Record<C, { readonly codes: Uint16Array; readonly values: readonly string[] }>
  >;
}

export class RunIndex {
  readonly directory: string;
  readonly #path: string;
  readonly #options: ScanOptions;
  #stored: StoredIndex | null = null;
  /** The rows of the records after the stored ones. */
  #table = new EntryTable(new StringTable());
  #covered: From = BEGINNING;
  /** The file of the records: a retry replaces it. */
  #inode = -1;

  private constructor(directory: string, options: ScanOptions) {
    this.directory = directory;
    this.#path = trajectoriesPath(directory);
    this.#options = options;
  }

  /**
   * Reads the records where the run has no index that agrees with them, and stores one unless a
   * driver has the directory or it cannot be written. Fails with `run_refused` on a line that is
   * not a record.
   */
  static async open(directory: string, options: ScanOptions = {}): Promise<RunIndex> {
    const index = new RunIndex(directory, options);
    await index.#open();
    return index;
  }

  /** The number of records. */
  get size(): number {
    return this.#storedSize + this.#table.size;
  }

  /** Takes in what a live run has appended. Returns the number of new records. */
  async refresh(): Promise<number> {
    const before = this.size;
    const { size = 0, ino = -1 } = statSync(this.#path, { throwIfNoEntry: false }) ?? {};
    if (ino !== this.#inode || size < this.#covered.offset || this.#table.size > HELD_MAX)
      await this.#open();
    else if (size > this.#covered.offset) await this.#catchUp();
    return this.size - before;
  }

  /** The record at place `n`, from 0. */
  row(n: number): IndexRow {
    const { rows, at } = this.#rowAt(n);
    return rowFrom(rows, at, this.#table.strings, this.idOf(n));
  }

  /** The id of the record at place `n`. */
  idOf(n: number): string {
    const { rows, at } = this.#rowAt(n);
    if (this.#stored !== null && n < this.#stored.size) return this.#stored.idOf(n);
    const { idStart, idEnd } = placeOf(rows, at);
    return this.#table.textAt(idStart, idEnd - idStart);
  }

  /** A column of numbers; NaN where a record has null. */
  async numbers(column: NumberColumn): Promise<Float64Array> {
    const values = new Float64Array(this.size);
    if (column in DOUBLE) {
      const place = DOUBLE[column as keyof typeof DOUBLE];
      await this.#each(({ doubles, count }, from) => {
        for (let n = 0; n < count; n++) values[from + n] = doubles[n * ROW_DOUBLES + place] ?? 0;
      });
    } else {
      const place = WORD[column as keyof typeof WORD];
      await this.#each(({ words, count }, from) => {
        for (let n = 0; n < count; n++) values[from + n] = words[n * ROW_WORDS + place] ?? 0;
      });
    }
    return values;
  }

  /** A column of few different values. */
  async codes(column: CodeColumn): Promise<Codes> {
    const codes = new Uint32Array(this.size);
    const [place, shift, mask, values] = codePlace(column);
    await this.#each(({ words, count }, from) => {
      for (let n = 0; n < count; n++)
        codes[from + n] = ((words[n * ROW_WORDS + place] ?? 0) >>> shift) & mask;
    });
    return { codes, values: values ?? this.#table.strings.all };
  }

  /** Several columns in one pass over the rows. Counts are 32-bit numbers. */
  async columns<N extends NumberColumn, C extends CodeColumn>(
    numbers: readonly N[],
    codes: readonly C[],
  ): Promise<Columns<N, C>> {
    const { size } = this;
    const doubles = numbers.filter((column) => column in DOUBLE);
    const words = numbers.filter((column) => !(column in DOUBLE));
    const doubleColumns = doubles.map((column) => ({
      values: new Float64Array(size),
      place: DOUBLE[column as keyof typeof DOUBLE],
    }));
    const wordColumns = words.map((column) => ({
      values: new Uint32Array(size),
      place: WORD[column as keyof typeof WORD],
    }));
    const codeColumns = codes.map((column) => {
      const [place, shift, mask, values] = codePlace(column);
      return { codes: new Uint16Array(size), place, shift, mask, values };
    });
    await this.#each((rows, from) => {
      for (let n = 0; n < rows.count; n++) {
        const [double, word] = [n * ROW_DOUBLES, n * ROW_WORDS];
        for (const { values, place } of doubleColumns)
          values[from + n] = rows.doubles[double + place] ?? 0;
        for (const { values, place } of wordColumns)
          values[from + n] = rows.words[word + place] ?? 0;
        for (const { codes: column, place, shift, mask } of codeColumns)
          column[from + n] = ((rows.words[word + place] ?? 0) >>> shift) & mask;
      }
    });
    const strings = this.#table.strings.all;
    const found = {
      numbers: Object.fromEntries([
        ...doubles.map((column, at) => [column, doubleColumns[at]?.values]),
        ...words.map((column, at) => [column, wordColumns[at]?.values]),
      ]),
      codes: Object.fromEntries(
        codes.map((column, at) => {
          const { codes: places, values = strings } = codeColumns[at] ?? {};
          return [column, { codes: places, values }];
        }),
      ),
    };
    return found as unknown as Columns<N, C>;
  }

  /** All ids in UTF-8, one after the other, and where each of them ends. */
  async ids(): Promise<{ readonly texts: Buffer; readonly ends: Uint32Array }> {
    const ends = new Uint32Array(this.size);
    let end = 0;
    await this.#each(({ words, count }, from) => {
      for (let n = 0; n < count; n++) {
        end += words[n * ROW_WORDS + WORD.id_bytes] ?? 0;
        ends[from + n] = end;
      }
    });
    const stored = this.#stored?.texts() ?? Buffer.alloc(0);
    return { texts: Buffer.concat([stored, this.#table.texts]), ends };
  }

  /** The place of a record; null when there is none. */
  async find(id: string, trial: number): Promise<number | null> {
    const [low, high] = fingerprint(id, trial);
    const isIt = (n: number): boolean => {
      const { rows, at } = this.#rowAt(n);
      return rows.words[at * ROW_WORDS + WORD.trial] === trial && this.idOf(n) === id;
    };
    const search = (keys: Uint32Array, from: number): number | null => {
      for (let n = keys.length / KEY_WORDS - 1; n >= 0; n--)
        if (keys[n * KEY_WORDS] === low && keys[n * KEY_WORDS + 1] === high && isIt(from + n))
          return from + n;
      return null;
    };
    const found = search(this.#table.keys, this.#storedSize);
    if (found !== null || this.#stored === null) return found;
    for (const { keys, from } of this.#stored.keyChunks()) {
      const place = search(keys, from);
      if (place !== null) return place;
    }
    return null;
  }

  /**
   * The line of the record at place `n`, as it stands in the file. Fails with `run_refused` for a
   * record that is too long to be read, or that was changed while the index was open.
   */
  async readRecord(n: number): Promise<string> {
    const { rows, at } = this.#rowAt(n);
    const place = placeOf(rows, at);
    const refused = (what: string) =>
      new MatrixError("run_refused", `${this.#path}:${n + 1}: the record ${what}`);
    if (place.overlong) throw refused(`has ${place.bytes} bytes and is too long to be read`);
    const file = openSync(this.#path, "r");
    try {
      const line = readLine(file, place);
      if (line === null) throw refused("is not in its place any more");
      return line.toString("utf8");
    } finally {
      closeSync(file);
    }
  }

  async close(): Promise<void> {
    this.#stored?.close();
    this.#stored = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #storedSize(): number {
    return this.#stored?.size ?? 0;
  }

  async #open(): Promise<void> {
    await this.close();
    this.#inode = statSync(this.#path, { throwIfNoEntry: false })?.ino ?? -1;
    this.#stored = await StoredIndex.open(this.directory, this.#path);
    if (this.#stored === null) await this.#rebuild();
    await this.#begin();
  }

  /** Makes the stored index anew where this process may, and uses none otherwise. */
  async #rebuild(): Promise<void> {
    await this.close();
    if (await rebuildIndex(this.directory, this.#path, this.#options))
      this.#stored = await StoredIndex.open(this.directory, this.#path);
  }

  /** Begins with the stored rows, and reads the records after them. */
  async #begin(): Promise<void> {
    this.#table = new EntryTable(new StringTable(this.#stored?.strings));
    this.#covered = this.#stored?.end ?? BEGINNING;
    await this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    this.#covered = await scanRecords(this.#path, this.#covered, this.#table, this.#options);
  }

  /** Calls `use` with all rows in their order. */
  async #each(use: (rows: Rows, from: number) => void): Promise<void> {
    let next = 0;
    for (const rows of this.#stored?.chunks() ?? []) {
      use(rows, rows.from);
      next = rows.from + rows.count;
    }
    if (next < this.#storedSize) {
      // A row in the middle is damaged, as after a power cut.
      await this.#rebuild();
      await this.#begin();
      return this.#each(use);
    }
    const { words, doubles, size } = this.#table;
    use({ words, doubles, count: size }, this.#storedSize);
  }

  #rowAt(n: number): { readonly rows: Rows; readonly at: number } {
    if (!(n >= 0 && n < this.size)) throw new RangeError(`no record at place ${n} of ${this.size}`);
    if (this.#stored !== null && n < this.#stored.size) return this.#stored.rowAt(n);
    const { words, doubles, size } = this.#table;
    return { rows: { words, doubles, count: size }, at: n - this.#storedSize };
  }
}

/** The word of a column, its bits in the word, and its values unless they are strings. */
function codePlace(
  column: CodeColumn,
): readonly [place: number, shift: number, mask: number, values?: readonly string[]] {
  if (column === "status") return [WORD.kinds, 0, 0xff, STATUSES];
  if (column === "simulated") return [WORD.kinds, 8, FLAG_SIMULATED, ["false", "true"]];
  return [WORD[column], 0, 0xffff_ffff];
}
