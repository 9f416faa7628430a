// Rows as JSON lines, written in blocks. The `datasets` library guesses the types of such a file
// from its first 10 MiB. When a place in the rows has values of one kind there and of another kind
// later, it refuses the file or changes the values. So the first row that shows a second kind in a
// place is moved to the front, unless it is near the front already.

import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { ExactNumber } from "../../task/exact.ts";
import { isJsonObject, type Json } from "../../task/json.ts";
import type { RowFile, TableRow } from "../contract.ts";
import { storageFailed } from "./storage.ts";

const BLOCK_CHARACTERS = 1024 * 1024;
const COPY_BYTES = 4 * 1024 * 1024;
/**
 * A row that begins before this position need not be moved. Loaders look at more than twice as many
 * bytes.
 */
const FRONT_BYTES = 4 * 1024 * 1024;

/** Opens a new file. This function and the file that it returns fail with `storage_failed`. */
export async function openJsonLines(path: string): Promise<RowFile> {
  const file = await open(path, "wx").catch(storageFailed(path));
  return new JsonLines(path, file);
}

interface Range {
  readonly start: number;
  /** The position after its newline. */
  readonly end: number;
}

class JsonLines implements RowFile {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #kinds = new Kinds();
  readonly #forFront: Range[] = [];
  #block: string[] = [];
  #blockCharacters = 0;
  #bytes = 0;

  constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  async write(row: TableRow): Promise<void> {
    const line = `${JSON.stringify(row)}\n`;
    const start = this.#bytes;
    this.#bytes += Buffer.byteLength(line);
    if (this.#kinds.areNewIn(row) && start > FRONT_BYTES)
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

async function copy(source: FileHandle, target: FileHandle, { start, end }: Range): Promise<void> {
  const block = Buffer.allocUnsafe(Math.min(COPY_BYTES, end - start));
  for (let at = start; at < end; ) {
    const { bytesRead } = await source.read(block, 0, Math.min(block.length, end - at), at);
    if (bytesRead === 0) throw new Error("the file is shorter than what was written");
    await target.appendFile(block.subarray(0, bytesRead));
    at += bytesRead;
  }
}

/** The kinds of values in each place of the rows, such as `.messages[].content`. */
class Kinds {
  readonly #first = new Map<string, string>();
  /** Places with values of several kinds. A loader takes any JSON there, and in places below. */
  readonly #mixed = new Set<string>();

  /** True for a row that shows a new kind in a place, or a new place. */
  areNewIn(row: TableRow): boolean {
    let isNew = false;
    for (const [column, value] of Object.entries(row)) if (this.#isNew(value, column)) isNew = true;
    return isNew;
  }

  #isNew(value: Json, place: string): boolean {
    if (this.#mixed.has(place)) return false;
    const kind = kindOf(value);
    const first = this.#first.get(place) ?? "null";
    if (first !== "null" && kind !== "null" && kind !== first) {
      this.#mixed.add(place);
      return true;
    }
    // Null has no type of its own, so another value gives the place its type.
    if (first === "null") this.#first.set(place, kind);
    let isNew = kind !== "null" && first === "null";
    for (const [name, part] of partsOf(value)) if (this.#isNew(part, place + name)) isNew = true;
    return isNew;
  }
}

/** The type of a value; for an object with its keys, because a struct has one set of them. */
function kindOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  if (isJsonObject(value)) return `{${Object.keys(value).sort().join("\n")}`;
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "fraction";
  return value instanceof ExactNumber ? "fraction" : typeof value;
}

function partsOf(value: Json): readonly (readonly [name: string, part: Json])[] {
  if (Array.isArray(value)) return value.map((item) => ["[]", item]);
  if (!isJsonObject(value)) return [];
  return Object.entries(value).map(([key, part]) => [`.${key}`, part]);
}
