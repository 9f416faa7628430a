// Writes the index: rows are kept in memory and appended about once a second, because readers read
// from the records what no row covers yet. Trouble with these files never ends a run: the writer
// then stops, and the index is mended by the next driver.

import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { OWN_FILE, OWN_FOLDER } from "../../task/own-files.ts";
import type { Confirm } from "../held-lock.ts";
import { bytesOf, EntryTable, type Place, type Recorded } from "./entry-table.ts";
import { FILES, headerOf, KEY_BYTES, ROW_BYTES } from "./layout.ts";
import type { StoredIndex } from "./stored-index.ts";
import { StringTable } from "./string-table.ts";

const FLUSH_MS = 1000;
/** Rows that are written without waiting for the next second. */
const ROWS_MAX = 8192;

type Files = Readonly<Record<keyof typeof FILES, FileHandle>>;

/** The lengths of the files. */
interface Written {
  readonly rows: number;
  readonly texts: number;
  readonly strings: number;
}

export class IndexWriter {
  readonly #files: Files;
  readonly #confirm: Confirm;
  readonly #flushing: NodeJS.Timeout;
  readonly #strings: StringTable;
  /** Rows that are not on their way yet, and those that are; the two change places. */
  #table: EntryTable;
  #spare: EntryTable;
  #rows: number;
  #stringsWritten: number;
  #written: Promise<void> = Promise.resolve();
  #isWriting = false;
  #failed = false;

  private constructor(
    files: Files,
    strings: StringTable,
    { rows, texts }: Pick<Written, "rows" | "texts">,
    confirm: Confirm,
  ) {
    this.#files = files;
    this.#strings = strings;
    this.#table = new EntryTable(strings, texts);
    this.#spare = new EntryTable(strings);
    this.#rows = rows;
    this.#stringsWritten = strings.all.length;
    this.#confirm = confirm;
    this.#flushing = setInterval(() => this.#flushSoon(), FLUSH_MS);
    this.#flushing.unref();
  }

  /** Begins an empty index in a folder, in the place of what is there. */
  static async create(
    folder: string,
    confirm: Confirm = async () => undefined,
  ): Promise<IndexWriter> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: OWN_FOLDER });
    const files = await openFiles(folder, "wx+");
    await files.rows.write(headerOf(), 0, ROW_BYTES, 0);
    return new IndexWriter(files, new StringTable(), { rows: 0, texts: 0 }, confirm);
  }

  /** Goes on after the rows of a stored index that count. What comes after them is cut off. */
  static async append(
    { folder, size, textBytes, strings, stringBytes }: StoredIndex,
    confirm: Confirm = async () => undefined,
  ): Promise<IndexWriter> {
    const files = await openFiles(folder, "r+");
    await confirm();
    await files.rows.truncate((size + 1) * ROW_BYTES);
    await files.keys.truncate(size * KEY_BYTES);
    await files.texts.truncate(textBytes);
    await files.strings.truncate(stringBytes);
    return new IndexWriter(
      files,
      new StringTable(strings),
      { rows: size, texts: textBytes },
      confirm,
    );
  }

  /** True when rows could not be written. */
  get hasFailed(): boolean {
    return this.#failed;
  }

  add(record: Recorded, place: Place, flags?: number): void {
    if (this.#failed) return;
    this.#table.add(record, place, flags);
    if (this.#table.size >= ROWS_MAX) this.#flushSoon();
  }

  /** Resolves when the kernel has every row that was added. */
  async flush(): Promise<void> {
    await this.#written;
    this.#flushSoon();
    await this.#written;
  }

  async close(): Promise<void> {
    clearInterval(this.#flushing);
    await this.flush();
    await closeFiles(this.#files);
  }

  /** Closes the files without the rows that are still to be written. */
  async abandon(): Promise<void> {
    clearInterval(this.#flushing);
    this.#failed = true;
    await this.#written;
    await closeFiles(this.#files);
  }

  #flushSoon(): void {
    if (this.#isWriting || this.#failed || this.#table.size === 0) return;
    this.#isWriting = true;
    const table = this.#table;
    this.#spare.clear(table.textsEnd);
    this.#table = this.#spare;
    this.#spare = table;
    this.#written = this.#write(table)
      .catch(() => {
        this.#failed = true;
      })
      .finally(() => {
        this.#isWriting = false;
      });
  }

  async #write(table: EntryTable): Promise<void> {
    const { rows, keys, texts, strings } = this.#files;
    await this.#confirm();
    await append(texts, table.texts, table.textsEnd - table.texts.length);
    const added = this.#strings.all.slice(this.#stringsWritten);
    if (added.length > 0) {
      const { size } = await strings.stat();
      this.#stringsWritten += added.length;
      await append(strings, Buffer.from(linesOf(added)), size);
    }
    await append(keys, bytesOf(table.keys), this.#rows * KEY_BYTES);
    await append(rows, bytesOf(table.words), (this.#rows + 1) * ROW_BYTES);
    this.#rows += table.size;
  }
}

async function openFiles(folder: string, flags: string): Promise<Files> {
  const opened: Partial<Record<keyof typeof FILES, FileHandle>> = {};
  try {
    for (const [name, file] of Object.entries(FILES))
      opened[name as keyof typeof FILES] = await open(join(folder, file), flags, OWN_FILE);
  } catch (cause) {
    for (const file of Object.values(opened)) await file.close();
    throw cause;
  }
  return opened as Files;
}

async function closeFiles(files: Files): Promise<void> {
  for (const file of Object.values(files)) await file.close().catch(() => undefined);
}

/** Writes at a position. A write may be short, for example on a nearly full disk. */
async function append(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

function linesOf(strings: readonly string[]): string {
  return strings.map((string) => `${JSON.stringify(string)}\n`).join("");
}
