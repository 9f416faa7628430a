// The file of a run's records: where it is, and its lines, plain or in Zstandard frames. A line
// that was being written when the process died is the last one and is marked torn. Readers skip a
// torn line, and a continued run cuts it off (`RecordWriter.open`).

import { existsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Line, splitLines } from "../dataset/lines.ts";
import { decodeFrame, FrameWalker } from "../dataset/zstd.ts";
import { MatrixError } from "../error.ts";

const PLAIN_FILE = "trajectories.jsonl";
const COMPRESSED_FILE = "trajectories.jsonl.zst";
/** Records that a retry replaced, in the same form as the records of the run. */
const SUPERSEDED_FILE = "superseded.jsonl";
const CHUNK_BYTES = 1024 * 1024;
/**
 * The longest line that is read. This program writes none of more than RECORD_BYTES_MAX, but
 * another one may have.
 */
const LINE_BYTES_MAX = 512 * 2 ** 20;

export interface FileLine {
  readonly text: string;
  /** Counts from 1. */
  readonly number: number;
  /** Byte offset in the file of the line, or of the frame of a compressed file where it begins. */
  readonly start: number;
  /** The offset of the line in the content of that frame; 0 in a plain file. */
  readonly inFrame: number;
  /** Bytes of the line without its newline. */
  readonly bytes: number;
  /**
   * Byte offset in the file up to which everything is whole, this line and the rest of its frame
   * included.
   */
  readonly end: number;
  readonly torn: boolean;
  /** The bytes of a line that is too long to be read, of which the text is the beginning. */
  readonly overlong?: number;
}

export interface RecordFile {
  /** Bytes. */
  readonly size: number;
  /** Fails with `run_refused` when a frame before the last one is damaged. */
  readonly lines: AsyncGenerator<readonly FileLine[]>;
  close(): Promise<void>;
}

export function trajectoriesPath(
  directory: string,
  compressed = existsSync(join(directory, COMPRESSED_FILE)),
): string {
  return join(directory, compressed ? COMPRESSED_FILE : PLAIN_FILE);
}

export function supersededPath(trajectories: string): string {
  const name = isCompressed(trajectories) ? `${SUPERSEDED_FILE}.zst` : SUPERSEDED_FILE;
  return join(dirname(trajectories), name);
}

export function isCompressed(path: string): boolean {
  return path.endsWith(".zst");
}

/** A place in the file where a line begins, in a compressed file together with a frame. */
export interface From {
  /** Byte offset. */
  readonly offset: number;
  /** Number of lines before it. */
  readonly lines: number;
  /** Bytes of the content of the frame that belong to lines before it; unset for none. */
  readonly inFrame?: number;
}

export const BEGINNING: From = { offset: 0, lines: 0 };

/**
 * Opens the first `bytes` bytes of the file for reading, without those before `from`. A missing
 * file has no lines.
 */
export async function openRecordFile(
  path: string,
  bytes = Number.POSITIVE_INFINITY,
  from = BEGINNING,
): Promise<RecordFile> {
  const file = await open(path, "r").catch((cause: { code?: unknown }) => {
    if (cause.code === "ENOENT") return null;
    throw cause;
  });
  if (file === null) return { size: 0, lines: noLines(), close: async () => undefined };
  const size = Math.min((await file.stat()).size, bytes);
  const lines = isCompressed(path)
    ? linesOfFrames(path, file, size, from)
    : plainLines(file, size, from);
  return { size, lines, close: () => file.close() };
}

async function* noLines(): AsyncGenerator<readonly FileLine[]> {}

/** A line without its newline is torn, even if it parses. */
async function* plainLines(
  file: FileHandle,
  size: number,
  from: From,
): AsyncGenerator<readonly FileLine[]> {
  for await (const batch of splitLines(chunksOf(file, size, from.offset), LINE_BYTES_MAX))
    yield batch.map((line) => {
      const start = from.offset + line.offset;
      const end = start + line.bytes + 1;
      return fileLine(line, from, { start, inFrame: 0, end, torn: end > size });
    });
}

function fileLine(
  { text, number, bytes, overlong }: Line,
  from: From,
  place: Pick<FileLine, "start" | "inFrame" | "end" | "torn">,
): FileLine {
  const line = { text, number: from.lines + number, bytes, ...place };
  return overlong ? { ...line, overlong: bytes } : line;
}

async function* linesOfFrames(
  path: string,
  file: FileHandle,
  size: number,
  from: From,
): AsyncGenerator<readonly FileLine[]> {
  const frames = new Frames(path, file, size, from.offset);
  const { inFrame: skipped = 0 } = from;
  let last = 0;
  const contents = without(skipped, frames.contents());
  for await (const batch of splitLines(contents, LINE_BYTES_MAX)) {
    last = batch.at(-1)?.number ?? last;
    // The next frame is read only after this batch was taken, so `frames.end` still belongs to the
    // batch's frame.
    yield batch.map((line) => {
      const position = skipped + line.offset;
      const { start, contentStart } = frames.frameAt(position);
      const torn = position + line.bytes + 1 > frames.contentBytes;
      return fileLine(line, from, {
        start,
        inFrame: position - contentStart,
        end: frames.end,
        torn,
      });
    });
  }
  if (frames.end >= size) return;
  const number = from.lines + last + 1;
  yield [{ text: "", number, start: frames.end, inFrame: 0, bytes: 0, end: size, torn: true }];
}

async function* without(bytes: number, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let left = bytes;
  for await (const chunk of chunks) {
    const skipped = Math.min(left, chunk.length);
    left -= skipped;
    if (skipped < chunk.length) yield chunk.subarray(skipped);
  }
}

interface Frame {
  /** Byte offset in the file. */
  readonly start: number;
  /** Byte offset of its content in the content of all frames that were read. */
  readonly contentStart: number;
}

/** Reads the whole frames of a file, one after the other. */
class Frames {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #size: number;
  /** The frames in which lines may begin that were not asked for yet. */
  #begun: Frame[] = [];
  /** Byte offset where the last frame that was read ends. */
  end: number;
  /** Decompressed bytes of all frames that were read. */
  contentBytes = 0;

  constructor(path: string, file: FileHandle, size: number, from: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
    this.end = from;
  }

  /** The frame that has this position of the content. Positions are asked for in their order. */
  frameAt(position: number): Frame {
    const later = this.#begun.findIndex(({ contentStart }) => contentStart > position);
    this.#begun = this.#begun.slice((later === -1 ? this.#begun.length : later) - 1);
    return this.#begun[0] ?? { start: this.end, contentStart: this.contentBytes };
  }

  async *contents(): AsyncGenerator<Buffer> {
    const walker = new FrameWalker();
    let pieces: Buffer[] = [];
    let read = this.end;
    for await (const chunk of chunksOf(this.#file, this.#size, this.end)) {
      read += chunk.length;
      for (let rest = chunk; rest.length > 0; ) {
        const { bytes, at } = walker.take(rest);
        if (at === "foreign" && (await this.#isBlank([...pieces, rest], read))) return;
        if (at === "foreign") throw this.#damaged();
        pieces.push(rest.subarray(0, bytes));
        rest = rest.subarray(bytes);
        if (at === "inside") continue;
        const frame = Buffer.concat(pieces);
        pieces = [];
        const content = decodeFrame(frame);
        // A power cut can leave holes in the last frame.
        if (content === null && this.end + frame.length === this.#size) return;
        if (content === null) throw this.#damaged();
        this.#begun.push({ start: this.end, contentStart: this.contentBytes });
        this.end += frame.length;
        this.contentBytes += content.length;
        yield content;
      }
    }
  }

  /** Tells whether only zeros follow. A power cut leaves zeros in a file that had already grown. */
  async #isBlank(pieces: readonly Buffer[], from: number): Promise<boolean> {
    if (pieces.some((piece) => piece.some((byte) => byte !== 0))) return false;
    for await (const chunk of chunksOf(this.#file, this.#size, from))
      if (chunk.some((byte) => byte !== 0)) return false;
    return true;
  }

  #damaged(): MatrixError {
    return new MatrixError(
      "run_refused",
      `${this.#path}: the frame at byte ${this.end} is damaged`,
      {
        hint: "mend the file, or start anew with --fresh (the old directory is kept aside)",
      },
    );
  }
}

async function* chunksOf(file: FileHandle, size: number, from = 0): AsyncGenerator<Buffer> {
  for (let at = from; at < size; ) {
    const { bytesRead, buffer } = await file.read(
      Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - at)),
      0,
      null,
      at,
    );
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}
