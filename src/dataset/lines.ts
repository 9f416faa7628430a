// Lines of a byte stream, each with its offset. A line ends at "\n" and at no other character, and
// the result does not depend on how the bytes are cut into chunks.

import { isUtf8 } from "node:buffer";

const NEWLINE = 0x0a;
export const LINE_BYTES_MAX = 256 * 2 ** 20;

export interface Line {
  /** The line without its newline, decoded as UTF-8. */
  readonly text: string;
  /** From 1, as editors count. */
  readonly number: number;
  /** The position of the first byte in the stream. */
  readonly offset: number;
  /** Length without the newline. */
  readonly bytes: number;
  /**
   * The position in the stream of the first byte that is not UTF-8; null when all are. The text
   * then holds replacement characters.
   */
  readonly foreignAt: number | null;
  /** True for a line that is too long to be held. The text is its beginning. */
  readonly overlong: boolean;
}

/** The part of an overlong line that is kept. */
const BEGINNING_BYTES = 64 * 2 ** 10;

/** Batches of lines, one for each chunk that ends a line. A line of more than `bytesMax` is cut. */
export async function* splitLines(
  chunks: AsyncIterable<Buffer>,
  bytesMax = LINE_BYTES_MAX,
): AsyncGenerator<readonly Line[]> {
  let number = 0;
  let offset = 0;
  let pieces: Buffer[] = [];
  /** Bytes of the line so far, with those that were dropped. */
  let lineBytes = 0;
  let overlong = false;
  const keep = (piece: Buffer): void => {
    lineBytes += piece.length;
    if (overlong) return;
    pieces.push(piece);
    if (lineBytes <= bytesMax) return;
    overlong = true;
    pieces = [Buffer.concat(pieces, Math.min(lineBytes, BEGINNING_BYTES))];
  };
  const take = (rest: Buffer): Line => {
    keep(rest);
    const bytes = pieces.length === 1 ? (pieces[0] ?? rest) : Buffer.concat(pieces);
    const line = {
      text: bytes.toString("utf8"),
      number: ++number,
      offset,
      bytes: lineBytes,
      foreignAt: isUtf8(bytes) ? null : offset + lengthOfText(bytes),
      overlong,
    };
    offset += lineBytes + 1;
    pieces = [];
    lineBytes = 0;
    overlong = false;
    return line;
  };
  for await (const chunk of chunks) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(take(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (start < chunk.length) {
      // The stream may reuse its buffer, so the beginning of a line is copied.
      keep(Buffer.from(chunk.subarray(start)));
    }
    if (lines.length > 0) yield lines;
  }
  if (lineBytes > 0) yield [take(Buffer.alloc(0))];
}

/** The length of the longest beginning that is UTF-8. */
function lengthOfText(bytes: Buffer): number {
  let [good, bad] = [0, bytes.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle;
    }
  }
  // The bytes before `bad` may end within a character.
  while (!isUtf8(bytes.subarray(0, good))) good--;
  return good;
}
