// annotations.jsonl of a run directory. Every statement is one line, appended with one write at the
// end of the file (O_APPEND), so that people and servers do not overwrite each other, and a server
// that is killed loses no line that it has acknowledged.

import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { splitLines } from "../../dataset/lines.ts";
import { MatrixError, messageOf } from "../../error.ts";
import { Annotations, lineOf, parseStatement, type Statement } from "./annotation.ts";

const ANNOTATIONS_FILE = "annotations.jsonl";
const NEWLINE = 0x0a;
const LINE_BYTES_MAX = 2 ** 20;
const CHUNK_BYTES = 64 * 1024;
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;
/** A link would lead to another file, and a pipe would hold the program up. */
const SAFELY = O_NOFOLLOW | O_NONBLOCK;
const OWN_FILE = 0o600;
/** Bits by which a file may be open to those to whom its folder is open. */
const OTHERS = 0o066;

export class AnnotationFile {
  readonly path: string;
  #annotations = new Annotations();
  /** The bytes that were read, the file that they are of, and its lines that are no statements. */
  #read = 0;
  #inode = 0;
  #broken = 0;
  #version = 0;
  /** Chains the changes, so that the lines of one process do not wait inside each other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(directory: string) {
    this.path = join(directory, ANNOTATIONS_FILE);
  }

  /** The statements up to now, by this process and by others. Fails with `storage_failed`. */
  async read(): Promise<Annotations> {
    await this.#inTurn(() => this.#readNew());
    return this.#annotations;
  }

  /** A number that changes whenever other content was read. */
  get version(): number {
    return this.#version;
  }

  /** Lines that are no statements, such as one that a power cut has torn. */
  get broken(): number {
    return this.#broken;
  }

  /** Appends statements. When it returns, the disk has them. Fails with `storage_failed`. */
  async append(statements: readonly Statement[]): Promise<void> {
    await this.#inTurn(async () => {
      const file = await this.#open();
      try {
        await appendTo(file, statements.map(lineOf).join(""));
      } finally {
        await file.close();
      }
    });
  }

  async #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#last.then(change, change);
    this.#last = done.catch(() => undefined);
    try {
      return await done;
    } catch (cause) {
      throw new MatrixError("storage_failed", `${this.path}: ${messageOf(cause)}`, { cause });
    }
  }

  async #open(): Promise<FileHandle> {
    const { mode } = await stat(join(this.path, ".."));
    const file = await open(
      this.path,
      O_RDWR | O_APPEND | O_CREAT | SAFELY,
      OWN_FILE | (mode & OTHERS),
    );
    if ((await file.stat()).isFile()) return file;
    await file.close();
    throw new Error("it is not a file");
  }

  async #readNew(): Promise<void> {
    const file = await open(this.path, O_RDONLY | SAFELY).catch((cause: { code?: unknown }) => {
      if (cause.code === "ENOENT") return null;
      throw cause;
    });
    if (file === null) {
      if (this.#inode !== 0) this.#forget(0);
      return;
    }
    try {
      const { size, ino } = await file.stat();
      // A file that is another one, or shorter than before, was edited by hand.
      if (ino !== this.#inode || size < this.#read) this.#forget(ino);
      if (size > this.#read) await this.#take(file, size);
    } finally {
      await file.close();
    }
  }

  #forget(inode: number): void {
    this.#annotations = new Annotations();
    this.#version++;
    this.#read = 0;
    this.#broken = 0;
    this.#inode = inode;
  }

  async #take(file: FileHandle, size: number): Promise<void> {
    const from = this.#read;
    for await (const lines of splitLines(chunksOf(file, from, size), LINE_BYTES_MAX)) {
      for (const { text, offset, bytes } of lines) {
        const end = from + offset + bytes + 1;
        // A line without its end is still being written.
        if (end > size) return;
        this.#read = end;
        this.#version++;
        const statement = parseStatement(text);
        if (statement !== null) this.#annotations.add(statement);
        else if (text.trim() !== "") this.#broken++;
      }
    }
  }
}

/** A line that a power cut has torn gets its end first. */
async function appendTo(file: FileHandle, lines: string): Promise<void> {
  const { size } = await file.stat();
  const last = Buffer.alloc(1);
  if (size > 0) await file.read(last, 0, 1, size - 1);
  const isTorn = size > 0 && last[0] !== NEWLINE;
  const bytes = Buffer.from(isTorn ? `\n${lines}` : lines);
  const { bytesWritten } = await file.write(bytes);
  if (bytesWritten < bytes.length) throw new Error("the disk is full");
  await file.sync();
}

async function* chunksOf(file: FileHandle, from: number, to: number): AsyncGenerator<Buffer> {
  for (let at = from; at < to; ) {
    const { bytesRead, buffer } = await file.read(
      Buffer.allocUnsafe(Math.min(CHUNK_BYTES, to - at)),
      0,
      null,
      at,
    );
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}
