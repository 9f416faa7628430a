// The place of each answer in a folder, over the segments of all processes that ever wrote there. A
// scan reads only what was added since the last scan, skips a last line that is not whole, and
// forgets segments that are gone.

import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type KeptAnswer,
  keyOfLine,
  noteOfLine,
  parseAnswer,
  parseSegmentName,
} from "./answer-line.ts";

const NEWLINE = 0x0a;
const CHUNK_BYTES = 64 * 2 ** 10;
/**
 * The map has the first bytes of a key, as many as a number holds. The line itself has the whole
 * key.
 */
const SLOT_BYTES = 6;
/** A place is one number: segment × SEGMENT_SPAN + byte offset in the segment. */
const SEGMENT_SPAN = 2 ** 32;

export interface AnswerIndexOptions {
  readonly folder: string;
  /** Called once, at the first whole line that is not an answer. */
  readonly onBadLine: (segment: string) => void;
}

interface Segment {
  readonly number: number;
  /** Byte offset up to which it was read; always the end of a line. */
  read: number;
}

export class AnswerIndex {
  readonly #options: AnswerIndexOptions;
  readonly #segments = new Map<string, Segment>();
  readonly #names: string[] = [];
  /**
   * Places by the slot of a key. The last of equal keys counts: each is an answer to the same
   * request.
   */
  readonly #places = new Map<number, number>();
  /** Segments of the processes that make a request, and that want to, by the slot of its key. */
  readonly #asked = new Map<number, Set<number>>();
  readonly #wanted = new Map<number, Set<number>>();
  #badLines = 0;

  constructor(options: AnswerIndexOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#places.size;
  }

  /** Reads what was added since the last scan. */
  async scan(): Promise<void> {
    // A claim may be dropped in a later segment than it was made in.
    const names = (await readdir(this.#options.folder).catch(() => []))
      .filter((name) => parseSegmentName(name) !== null)
      .sort((a, b) => numberOf(a) - numberOf(b));
    this.#forget(new Set(names));
    for (const name of names) await this.#read(name);
  }

  /** Returns null for an unknown key. */
  async find(key: string): Promise<KeptAnswer | null> {
    const place = this.#places.get(slotOf(key));
    if (place === undefined) return null;
    const name = this.#names[Math.floor(place / SEGMENT_SPAN)] ?? "";
    const line = await readLine(join(this.#options.folder, name), place % SEGMENT_SPAN).catch(
      () => null,
    );
    const kept = line === null ? null : parseAnswer(line);
    return kept?.key === key ? kept : null;
  }

  /** The processes that began the request, and have neither kept nor dropped it. */
  askersOf(key: string): readonly string[] {
    return [...(this.#asked.get(slotOf(key)) ?? [])].map((segment) => this.#writerOf(segment));
  }

  /** The processes that want to make the request, and have not given way to another one. */
  wantersOf(key: string): readonly string[] {
    return [...(this.#wanted.get(slotOf(key)) ?? [])].map((segment) => this.#writerOf(segment));
  }

  #forget(present: ReadonlySet<string>): void {
    const gone = new Set(
      [...this.#segments].filter(([name]) => !present.has(name)).map(([, { number }]) => number),
    );
    if (gone.size === 0) return;
    for (const name of this.#segments.keys()) if (!present.has(name)) this.#segments.delete(name);
    for (const [slot, place] of this.#places)
      if (gone.has(Math.floor(place / SEGMENT_SPAN))) this.#places.delete(slot);
    for (const noted of [this.#asked, this.#wanted])
      for (const [slot, segments] of noted) {
        for (const segment of segments) if (gone.has(segment)) segments.delete(segment);
        if (segments.size === 0) noted.delete(slot);
      }
  }

  async #read(name: string): Promise<void> {
    let segment = this.#segments.get(name);
    if (segment === undefined) {
      segment = { number: this.#names.push(name) - 1, read: 0 };
      this.#segments.set(name, segment);
    }
    const bytes = await readFrom(join(this.#options.folder, name), segment.read).catch(
      () => NOTHING,
    );
    let start = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      const line = bytes.subarray(start, end);
      if (!this.#take(line, segment.number, segment.read + start) && this.#badLines++ === 0)
        this.#options.onBadLine(name);
      start = end + 1;
    }
    segment.read += start;
  }

  /** Returns false for a line that is neither an answer nor a note. */
  #take(line: Buffer, segment: number, at: number): boolean {
    const key = keyOfLine(line);
    if (key === null) return false;
    const slot = slotOf(key);
    const note = noteOfLine(line);
    if (note === "asked") addTo(this.#asked, slot, segment);
    else if (note === "wanted") addTo(this.#wanted, slot, segment);
    else if (note === "dropped") {
      this.#drop(this.#asked, slot, segment);
      this.#drop(this.#wanted, slot, segment);
    } else {
      this.#places.set(slot, segment * SEGMENT_SPAN + at);
      this.#asked.delete(slot);
      this.#wanted.delete(slot);
    }
    return true;
  }

  /** The process may have begun the request in an earlier segment. */
  #drop(noted: Map<number, Set<number>>, slot: number, dropping: number): void {
    const segments = noted.get(slot);
    const writer = this.#writerOf(dropping);
    for (const segment of segments ?? [])
      if (this.#writerOf(segment) === writer) segments?.delete(segment);
    if (segments?.size === 0) noted.delete(slot);
  }

  #writerOf(segment: number): string {
    return parseSegmentName(this.#names[segment] ?? "")?.writer ?? "";
  }
}

function addTo(noted: Map<number, Set<number>>, slot: number, segment: number): void {
  const segments = noted.get(slot);
  if (segments === undefined) noted.set(slot, new Set([segment]));
  else segments.add(segment);
}

const NOTHING = Buffer.alloc(0);

function numberOf(name: string): number {
  return parseSegmentName(name)?.number ?? 0;
}

function slotOf(key: string): number {
  return Buffer.from(key, "base64url").readUIntBE(0, SLOT_BYTES);
}

/** Reads the rest of a file at once; it is no longer than a segment. */
async function readFrom(path: string, from: number): Promise<Buffer> {
  // Opening a pipe would wait for its other end.
  if (!(await stat(path)).isFile()) return NOTHING;
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size <= from) return NOTHING;
    const { buffer, bytesRead } = await file.read(
      Buffer.allocUnsafe(size - from),
      0,
      size - from,
      from,
    );
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Returns null for a line without its newline. */
async function readLine(path: string, from: number): Promise<string | null> {
  const file = await open(path, "r");
  try {
    const pieces: Buffer[] = [];
    for (let at = from; ; ) {
      const { buffer, bytesRead } = await file.read(
        Buffer.allocUnsafe(CHUNK_BYTES),
        0,
        CHUNK_BYTES,
        at,
      );
      if (bytesRead === 0) return null;
      const piece = buffer.subarray(0, bytesRead);
      const end = piece.indexOf(NEWLINE);
      pieces.push(end === -1 ? piece : piece.subarray(0, end));
      if (end !== -1) return Buffer.concat(pieces).toString("utf8");
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}
