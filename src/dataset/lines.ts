// Lines of a byte stream, each with its offset, whatever the chunks: split at newlines, decoded as UTF-8 and nothing else.

import { isUtf8 } from "node:buffer";

const NEWLINE = 0x0a;
const LINE_BYTES_MAX = 256 * 2 ** 20;

export interface Line {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  /** Of its first byte, and how many bytes without the newline. */
  readonly offset: number;
  readonly bytes: number;
  /** False when the bytes are no UTF-8; the text then holds replacement characters. */
  readonly valid: boolean;
}

/** Batches of lines, one batch a chunk. A line that is too long ends the stream with an error. */
export async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly Line[]> {
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
      // The stream may reuse its buffer, so what is kept is copied.
      pieces.push(Buffer.from(chunk.subarray(start)));
      pieceBytes += chunk.length - start;
      if (pieceBytes > LINE_BYTES_MAX)
        throw new Error(`line ${number + 1} is longer than ${LINE_BYTES_MAX} bytes`);
    }
    if (lines.length > 0) yield lines;
  }
  if (pieceBytes > 0) yield [take(Buffer.alloc(0))];
}
