// Lines of a byte stream, each with its offset. A line ends at "\n" and at no other character, and
// the result does not depend on how the bytes are cut into chunks.

import { isUtf8 } from "node:buffer";

const NEWLINE = 0x0a;
const LINE_BYTES_MAX = 256 * 2 ** 20;

export interface Line {
  /** The line without its newline, decoded as UTF-8. */
  readonly text: string;
  /** From 1, as editors count. */
  readonly number: number;
  /** The position of the first byte in the stream. */
  readonly offset: number;
  /** Length without the newline. */
  readonly bytes: number;
  /** False when the bytes are not UTF-8. The text then holds replacement characters. */
  readonly valid: boolean;
}

/**
 * Batches of lines, one for each chunk that ends a line. Throws at a line of more than `bytesMax`.
 */
export async function* splitLines(
  chunks: AsyncIterable<Buffer>,
  bytesMax = LINE_BYTES_MAX,
): AsyncGenerator<readonly Line[]> {
  let number = 0;
  let offset = 0;
  let pieces: Buffer[] = [];
  let pieceBytes = 0;
  const take = (rest: Buffer): Line => {
    const bytes = pieces.length === 0 ? rest : Buffer.concat([...pieces, rest]);
    pieces = [];
    pieceBytes = 0;
    const line = {
      text: bytes.toString("utf8"),
      number: ++number,
      offset,
      bytes: bytes.length,
      valid: isUtf8(bytes),
    };
    offset += bytes.length + 1;
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
      pieces.push(Buffer.from(chunk.subarray(start)));
      pieceBytes += chunk.length - start;
      if (pieceBytes > bytesMax)
        throw new Error(`line ${number + 1} is longer than ${bytesMax} bytes`);
    }
    if (lines.length > 0) yield lines;
  }
  if (pieceBytes > 0) yield [take(Buffer.alloc(0))];
}
