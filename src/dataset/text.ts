// Text of a file in its encoding. Bytes that are not of the encoding are an error with their place,
// and never replaced by another character.

type Label = ConstructorParameters<typeof TextDecoder>[0];

/** Bytes of the longest character in any encoding. */
const CHARACTER_BYTES_MAX = 8;

/** An error with the line at which it stands, from 1. */
export class LineError extends Error {
  readonly line: number;

  constructor(line: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.line = line;
  }
}

/**
 * The text of a stream without its byte order mark. `open` gives the stream, and gives it again to
 * find the place of an error. `hint` says what to do about one.
 */
export async function* decodeText(
  open: () => AsyncIterable<Buffer>,
  encoding: string,
  hint: string,
): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding as Label, { fatal: true });
  let offset = 0;
  const fail = async (cause: unknown): Promise<never> => {
    const { line, at, byte } = await findForeign(open(), encoding, offset);
    const what = byte === null ? "it ends within a character" : `byte 0x${hex(byte)}`;
    throw new LineError(
      line,
      `the file is not ${encoding.toUpperCase()}: ${what} at position ${at} of the file; ${hint}`,
      cause,
    );
  };
  for await (const chunk of open()) {
    if (offset === 0) refuseMark(chunk, decoder.encoding, hint);
    let text = "";
    try {
      text = decoder.decode(chunk, { stream: true });
    } catch (cause) {
      await fail(cause);
    }
    offset += chunk.length;
    if (text !== "") yield text;
  }
  try {
    decoder.decode();
  } catch (cause) {
    await fail(cause);
  }
}

const MARKS = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
] as const;

/** Fails when a file begins with the byte order mark of another encoding. */
function refuseMark(beginning: Buffer, encoding: string, hint: string): void {
  const marked = MARKS.find(([, mark]) => mark.every((byte, i) => beginning[i] === byte))?.[0];
  if (marked === undefined || marked === encoding) return;
  throw new LineError(
    1,
    `the file is not ${encoding.toUpperCase()}: it begins with the byte order mark of ` +
      `${marked.toUpperCase()}; ${hint}`,
  );
}

interface Foreign {
  readonly line: number;
  /** The position of the first byte that is not of the encoding, or the size of the file. */
  readonly at: number;
  readonly byte: number | null;
}

/** Finds the first bytes that are not of the encoding, which are at `from` or soon after. */
async function findForeign(
  bytes: AsyncIterable<Buffer>,
  encoding: string,
  from: number,
): Promise<Foreign> {
  // The mark is text here, so that every decoded character gives text.
  const decoder = new TextDecoder(encoding as Label, { fatal: true, ignoreBOM: true });
  const lines = new LineCount();
  let offset = 0;
  /** The first byte of the character that is being decoded. */
  let first: { readonly at: number; readonly byte: number | null } | null = null;
  for await (const part of finely(bytes, from - CHARACTER_BYTES_MAX)) {
    first ??= { at: offset, byte: part[0] ?? null };
    let text: string;
    try {
      text = decoder.decode(part, { stream: true });
    } catch {
      return { line: lines.line, ...first };
    }
    lines.add(text);
    offset += part.length;
    if (text !== "") first = null;
  }
  return { line: lines.line, at: offset, byte: null };
}

/** The same bytes, cut into single ones after `from`. */
async function* finely(bytes: AsyncIterable<Buffer>, from: number): AsyncGenerator<Buffer> {
  let offset = 0;
  for await (const chunk of bytes) {
    const whole = Math.min(Math.max(from - offset, 0), chunk.length);
    if (whole > 0) yield chunk.subarray(0, whole);
    for (let i = whole; i < chunk.length; i++) yield chunk.subarray(i, i + 1);
    offset += chunk.length;
  }
}

/** Counts lines that end at "\n", "\r\n" or "\r". */
class LineCount {
  line = 1;
  #afterReturn = false;

  add(text: string): void {
    for (const character of text) {
      if (character === "\r" || (character === "\n" && !this.#afterReturn)) this.line++;
      this.#afterReturn = character === "\r";
    }
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
