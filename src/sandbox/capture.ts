// The output of a command: its beginning and its end, with a line between them that says how much
// is missing. The end is where a command says how it ended.

import type { Readable } from "node:stream";

/** Most bytes of a UTF-8 character after its first. */
const CONTINUATIONS_MAX = 3;

export class Capture {
  readonly #headMax: number;
  readonly #tailMax: number;
  readonly #head: Buffer[] = [];
  #headBytes = 0;
  /** The last chunks. The oldest of them is cut when the output is asked for. */
  #tail: Buffer[] = [];
  #tailBytes = 0;
  #total = 0;

  /** Keeps `bytesMax` bytes of the stream. `onBytes` hears how many bytes came so far. */
  constructor(stream: Readable, bytesMax: number, onBytes: (total: number) => void) {
    this.#headMax = Math.ceil(bytesMax / 2);
    this.#tailMax = bytesMax - this.#headMax;
    stream.on("data", (chunk: Buffer) => {
      this.#total += chunk.length;
      this.#keep(chunk);
      onBytes(this.#total);
    });
  }

  /** Bytes that were left out. */
  get dropped(): number {
    return Math.max(0, this.#total - this.#headMax - this.#tailMax);
  }

  /** The output as it came, or its beginning and its end around a line of ours. */
  get bytes(): Uint8Array {
    const [head, tail] = [Buffer.concat(this.#head), Buffer.concat(this.#tail)];
    if (this.dropped === 0) return Buffer.concat([head, tail]);
    const end = tail.subarray(Math.max(0, tail.length - this.#tailMax));
    const what = this.dropped === 1 ? "1 byte of output is" : `${this.dropped} bytes of output are`;
    const note = `\n[${what} left out here]\n`;
    return Buffer.concat([wholeEnd(head), Buffer.from(note), wholeStart(end)]);
  }

  #keep(chunk: Buffer): void {
    const room = this.#headMax - this.#headBytes;
    const first = chunk.subarray(0, room);
    if (first.length > 0) this.#head.push(first);
    this.#headBytes += first.length;
    const rest = chunk.subarray(first.length);
    if (rest.length === 0) return;
    this.#tail.push(rest);
    this.#tailBytes += rest.length;
    this.#trim();
  }

  #trim(): void {
    let [oldest] = this.#tail;
    let from = 0;
    while (oldest !== undefined && this.#tailBytes - oldest.length >= this.#tailMax) {
      this.#tailBytes -= oldest.length;
      oldest = this.#tail[++from];
    }
    if (from > 0) this.#tail = this.#tail.slice(from);
  }
}

/**
 * The bytes without a character that is cut at the end. Bytes that are no text stay as they are.
 */
function wholeEnd(bytes: Buffer): Buffer {
  for (let back = 1; back <= Math.min(CONTINUATIONS_MAX, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (isContinuation(byte)) continue;
    return lengthOf(byte) > back ? bytes.subarray(0, bytes.length - back) : bytes;
  }
  return bytes;
}

/** The bytes without the rest of a character that is cut at the start. */
function wholeStart(bytes: Buffer): Buffer {
  let from = 0;
  while (from < CONTINUATIONS_MAX && isContinuation(bytes[from] ?? 0)) from++;
  return bytes.subarray(from);
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** Bytes of the character that this byte begins. */
function lengthOf(byte: number): number {
  if (byte < 0xc0) return 1;
  if (byte < 0xe0) return 2;
  return byte < 0xf0 ? 3 : 4;
}
