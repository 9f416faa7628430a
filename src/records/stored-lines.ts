// The lines of a run's records as they stand in its directory, plain or in Zstandard frames. What was being written when a
// process died comes last and is marked torn: it is to be cut, not trusted.

import { existsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { splitLines } from "../dataset/lines.ts";
import { decodeFrame, FrameWalker } from "../dataset/zstd.ts";
import { MatrixError } from "../error.ts";

const PLAIN_FILE = "trajectories.jsonl";
const COMPRESSED_FILE = "trajectories.jsonl.zst";
const CHUNK_BYTES = 1024 * 1024;

export interface StoredLine {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  /** Where in the file all that is whole ends, with this line (and those that share its frame). */
  readonly end: number;
  readonly torn: boolean;
}

export interface StoredLines {
  /** Of the file. */
  readonly size: number;
  /** Fails with `run_refused` when a frame in the middle is damaged. */
  readonly lines: AsyncGenerator<readonly StoredLine[]>;
  close(): Promise<void>;
}

export function trajectoriesPath(
  directory: string,
  compressed = existsSync(join(directory, COMPRESSED_FILE)),
): string {
  return join(directory, compressed ? COMPRESSED_FILE : PLAIN_FILE);
}

export function isCompressed(path: string): boolean {
  return path.endsWith(".zst");
}

/** None where there is no file. */
export async function openStoredLines(path: string): Promise<StoredLines> {
  const file = await open(path, "r").catch((cause: { code?: unknown }) => {
    if (cause.code === "ENOENT") return null;
    throw cause;
  });
  if (file === null) return { size: 0, lines: nothing(), close: async () => undefined };
  const { size } = await file.stat();
  const lines = isCompressed(path) ? linesOfFrames(path, file, size) : plainLines(file, size);
  return { size, lines, close: () => file.close() };
}

async function* nothing(): AsyncGenerator<readonly StoredLine[]> {}

/** Without its newline a line is torn, even if it parses. */
async function* plainLines(file: FileHandle, size: number): AsyncGenerator<readonly StoredLine[]> {
  for await (const batch of splitLines(chunksOf(file, size)))
    yield batch.map(({ text, number, offset, bytes }) => {
      const end = offset + bytes + 1;
      return { text, number, end, torn: end > size };
    });
}

async function* linesOfFrames(
  path: string,
  file: FileHandle,
  size: number,
): AsyncGenerator<readonly StoredLine[]> {
  const frames = new Frames(path, file, size);
  let last = 0;
  for await (const batch of splitLines(frames.contents())) {
    last = batch.at(-1)?.number ?? last;
    // The next frame is read when this batch was taken, so `end` is that of the batch's frame.
    yield batch.map(({ text, number, offset, bytes }) => ({
      text,
      number,
      end: frames.end,
      torn: offset + bytes + 1 > frames.contentBytes,
    }));
  }
  if (frames.end < size) yield [{ text: "", number: last + 1, end: size, torn: true }];
}

/** The whole frames of a file, one after the other. */
class Frames {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #size: number;
  /** Of the last frame that was read. */
  end = 0;
  /** Of all frames that were read. */
  contentBytes = 0;

  constructor(path: string, file: FileHandle, size: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
  }

  async *contents(): AsyncGenerator<Buffer> {
    const walker = new FrameWalker();
    let pieces: Buffer[] = [];
    let read = 0;
    for await (const chunk of chunksOf(this.#file, this.#size)) {
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
        // A power cut can leave the last frame with holes.
        if (content === null && this.end + frame.length === this.#size) return;
        if (content === null) throw this.#damaged();
        this.end += frame.length;
        this.contentBytes += content.length;
        yield content;
      }
    }
  }

  /** Whether nothing but zeros follows: what a power cut leaves of a file that had grown. */
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
