// An image or a piece of audio in a request. It is read while it is sent, a window at a time, so
// that requests in flight hold none of it. Its place in a request is that of its text, a data URL
// or base64; wherever a request is compared or counted, its hash stands for it.

/** Bytes that are read at once. Three bytes are four characters of base64. */
export const WINDOW_BYTES = 192 * 2 ** 10;

export interface AttachmentParts {
  /** The text before the base64, such as "data:image/png;base64,". */
  readonly prefix: string;
  /** The SHA-256 of the bytes. */
  readonly sha256: string;
  readonly bytes: number;
  /** The bytes in windows of WINDOW_BYTES, of which the last may be shorter. */
  readonly read: () => AsyncIterable<Buffer> | Iterable<Buffer>;
}

export class Attachment {
  readonly #parts: AttachmentParts;

  constructor(parts: AttachmentParts) {
    this.#parts = parts;
  }

  /** Bytes of the whole text. */
  get textBytes(): number {
    const { prefix, bytes } = this.#parts;
    return prefix.length + Math.ceil(bytes / 3) * 4;
  }

  /** The text, in pieces. */
  async *pieces(): AsyncGenerator<string> {
    const { prefix, read } = this.#parts;
    yield prefix;
    for await (const window of read()) yield window.toString("base64");
  }

  async text(): Promise<string> {
    return (await Array.fromAsync(this.pieces())).join("");
  }

  toJSON(): string {
    return `${this.#parts.prefix}sha256:${this.#parts.sha256}`;
  }
}
