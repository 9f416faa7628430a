// Rows as JSON lines, written in blocks. The `datasets` library guesses the types of such a file
// from its first 10 MiB. When all messages there have the same keys and a tool call comes later, it
// refuses the file. So the first row that shows objects of several shapes in a column is moved to
// the front, unless it is near the front already.

import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { isJsonObject, type Json } from "../../task/json.ts";
import type { Columns, ColumnType, RowFile, TableRow } from "../contract.ts";
import { storageFailed } from "./storage.ts";

const BLOCK_CHARACTERS = 1024 * 1024;
const COPY_BYTES = 4 * 1024 * 1024;
/**
 * A row that begins before this position need not be moved. Loaders look at more than twice as many
 * bytes.
 */
const FRONT_BYTES = 4 * 1024 * 1024;

/** Opens a new file. This function and the file that it returns fail with `storage_failed`. */
export async function openJsonLines(path: string, columns: Columns): Promise<RowFile> {
  const file = await open(path, "wx").catch(storageFailed(path));
  return new JsonLines(path, file, columns);
}

interface Range {
  readonly start: number;
  /** The position after its newline. */
  readonly end: number;
}

class JsonLines implements RowFile {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #shapes: readonly Shapes[];
  readonly #forFront: Range[] = [];
  #block: string[] = [];
  #blockCharacters = 0;
  #bytes = 0;

  constructor(path: string, file: FileHandle, columns: Columns) {
    this.#path = path;
    this.#file = file;
    this.#shapes = Object.entries(columns).flatMap(([name, type]) =>
      typeof type === "object" && "list" in type && isJson(type.list) ? [new Shapes(name)] : [],
    );
  }

  async write(row: TableRow): Promise<void> {
    const line = `${JSON.stringify(row)}\n`;
    const start = this.#bytes;
    this.#bytes += Buffer.byteLength(line);
    // Every column must see the row, so `some` would stop too early.
    const telling = this.#shapes.map((shapes) => shapes.becomeSeveral(row));
    if (telling.includes(true) && start > FRONT_BYTES)
      this.#forFront.push({ start, end: this.#bytes });
    this.#block.push(line);
    this.#blockCharacters += line.length;
    if (this.#blockCharacters >= BLOCK_CHARACTERS) await this.#flush();
  }

  async close(): Promise<void> {
    await this.#flush();
    await this.#file.close();
    if (this.#forFront.length > 0) await this.#moveToFront().catch(storageFailed(this.#path));
  }

  async #flush(): Promise<void> {
    await this.#file.appendFile(this.#block.join("")).catch(storageFailed(this.#path));
    this.#block = [];
    this.#blockCharacters = 0;
  }

  async #moveToFront(): Promise<void> {
    const moved = `${this.#path}.moved`;
    const rest: Range[] = [];
    let from = 0;
    for (const { start, end } of this.#forFront) {
      if (start > from) rest.push({ start: from, end: start });
      from = end;
    }
    if (from < this.#bytes) rest.push({ start: from, end: this.#bytes });
    const [source, target] = [await open(this.#path), await open(moved, "wx")];
    try {
      for (const range of [...this.#forFront, ...rest]) await copy(source, target, range);
    } finally {
      await Promise.all([source.close(), target.close()]);
    }
    await rm(this.#path);
    await rename(moved, this.#path);
  }
}

function isJson(type: ColumnType): boolean {
  return type === "json" || type === "message";
}

async function copy(source: FileHandle, target: FileHandle, { start, end }: Range): Promise<void> {
  const block = Buffer.allocUnsafe(Math.min(COPY_BYTES, end - start));
  for (let at = start; at < end; ) {
    const { bytesRead } = await source.read(block, 0, Math.min(block.length, end - at), at);
    if (bytesRead === 0) throw new Error("the file is shorter than what was written");
    await target.appendFile(block.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** The shapes (sets of keys) of the objects in a column of lists. */
class Shapes {
  readonly #column: string;
  #first: string | null = null;
  #several = false;

  constructor(column: string) {
    this.#column = column;
  }

  /** True for the first row after which the column has objects of several shapes. */
  becomeSeveral(row: TableRow): boolean {
    if (this.#several) return false;
    const list: Json = row[this.#column] ?? null;
    for (const item of Array.isArray(list) ? list : []) {
      const shape = isJsonObject(item) ? Object.keys(item).join("\n") : "";
      this.#first ??= shape;
      if (shape !== this.#first) this.#several = true;
    }
    return this.#several;
  }
}
