// Zstandard (RFC 8878, section 3.1). A file consists of frames, which are independent of each
// other. This file finds the end of a frame by its headers, because the runtimes' decompressors
// take a cut frame for a whole one, and some stop after the first frame.

import { Readable } from "node:stream";
import { promisify } from "node:util";
import { constants, createZstdDecompress, zstdCompress, zstdDecompressSync } from "node:zlib";

const MAGIC = 0xfd2fb528;
/** The last four bits of this magic number may have any value. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const MAGIC_BYTES = 4;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
/** Lengths of two fields, chosen by flags of the frame header. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/** The content of a frame of records holds a few megabytes, or one record that is larger. */
const FRAME_BYTES_MAX = 2 ** 30;

const compress = promisify(zstdCompress);

/** Frames of `zstd --long=31` refer this far back, in powers of two. */
const WINDOW_LOG_MAX = 31;
const DECODING = { params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX } };

/** A frame with a checksum. */
export function encodeFrame(bytes: Uint8Array): Promise<Uint8Array> {
  return compress(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** The content of one whole frame; null when it is damaged, or has more than `bytesMax`. */
export function decodeFrame(frame: Uint8Array, bytesMax = FRAME_BYTES_MAX): Buffer | null {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: bytesMax });
  } catch {
    return null;
  }
}

/** The content of a frame within another file. Fails when it has more than `bytesMax`. */
export function decodePage(frame: Uint8Array, bytesMax: number): Buffer {
  try {
    return zstdDecompressSync(frame, { ...DECODING, maxOutputLength: bytesMax });
  } catch (cause) {
    const what = `damaged, or has more than the ${bytesMax} bytes that it may have`;
    throw new Error(`the Zstandard data is ${what}`, { cause });
  }
}

/**
 * The content of all frames of a file, streamed. Throws when the file is cut short or not
 * Zstandard.
 */
export async function* decompress(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const pieces = new Pieces(chunks);
  while (await pieces.more()) {
    const frame = Readable.from(pieces.frame(), { objectMode: false });
    const content = createZstdDecompress(DECODING);
    frame.on("error", (error) => content.destroy(error));
    yield* frame.pipe(content) as AsyncIterable<Buffer>;
  }
}

/** Chunks of a file, cut where its frames end. */
class Pieces {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #walker = new FrameWalker();
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** True when the file has further bytes. */
  async more(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return false;
      this.#rest = next.value;
    }
    return true;
  }

  async *frame(): AsyncGenerator<Buffer> {
    while (await this.more()) {
      const { bytes, at } = this.#walker.take(this.#rest);
      if (at === "foreign") throw damaged("it is not Zstandard");
      const piece = this.#rest.subarray(0, bytes);
      this.#rest = this.#rest.subarray(bytes);
      yield piece;
      if (at === "end") return;
    }
    throw damaged("its last frame is incomplete");
  }
}

/** An error with a code like those of the runtime's decompressor. */
function damaged(message: string): Error {
  return Object.assign(new Error(message), { code: "ZSTD_FRAME" });
}

/**
 * Finds the ends of frames in a stream. The result does not depend on how the bytes are cut into
 * chunks.
 */
export class FrameWalker {
  /** The bytes so far of the header that is being read. */
  #header: number[] = [];
  /** True between the frame header and the end of the frame. */
  #inside = false;
  #checksum = false;
  /** Bytes until the next header or, in the last block, until the end of the frame. */
  #skip = 0;
  #isLast = false;

  /**
   * The number of bytes of the chunk that belong to the current frame. `at` is "end" when the frame
   * ends with them, and "foreign" when they are not Zstandard.
   */
  take(chunk: Uint8Array): { readonly bytes: number; readonly at: "inside" | "end" | "foreign" } {
    let bytes = 0;
    while (bytes < chunk.length) {
      const skipped = Math.min(this.#skip, chunk.length - bytes);
      this.#skip -= skipped;
      bytes += skipped;
      if (bytes < chunk.length && this.#skip === 0 && !this.#isLast) {
        this.#header.push(chunk[bytes++] ?? 0);
        if (!(this.#inside ? this.#readBlockHeader() : this.#readFrameHeader()))
          return { bytes, at: "foreign" };
      }
      if (this.#skip === 0 && this.#isLast) {
        this.#inside = false;
        this.#isLast = false;
        return { bytes, at: "end" };
      }
    }
    return { bytes, at: "inside" };
  }

  /** False when it is not the header of a frame. */
  #readFrameHeader(): boolean {
    const header = Buffer.from(this.#header);
    if (header.length < MAGIC_BYTES) return true;
    const magic = header.readUInt32LE(0);
    if ((magic & ~0xf) >>> 0 === SKIPPABLE_MAGIC) {
      if (header.length === MAGIC_BYTES * 2) this.#goOn(header.readUInt32LE(MAGIC_BYTES), true);
      return true;
    }
    if (magic !== MAGIC) return false;
    if (header.length === MAGIC_BYTES) return true;
    const flags = header.readUInt8(MAGIC_BYTES);
    const hasWindow = (flags & 0x20) === 0;
    const contentSize = CONTENT_SIZE_BYTES[(flags >> 6) as 0 | 1 | 2 | 3];
    const dictionaryId = DICTIONARY_ID_BYTES[(flags & 3) as 0 | 1 | 2 | 3];
    this.#checksum = (flags & 4) !== 0;
    this.#inside = true;
    this.#goOn(dictionaryId + (hasWindow ? 1 + contentSize : Math.max(contentSize, 1)), false);
    return true;
  }

  #readBlockHeader(): boolean {
    if (this.#header.length < BLOCK_HEADER_BYTES) return true;
    const header = Buffer.from(this.#header).readUIntLE(0, BLOCK_HEADER_BYTES);
    const isLast = (header & 1) === 1;
    const type = (header >> 1) & 3;
    const content = type === RLE_BLOCK ? 1 : header >> 3;
    this.#goOn(content + (isLast && this.#checksum ? CHECKSUM_BYTES : 0), isLast);
    return type !== RESERVED_BLOCK;
  }

  #goOn(skip: number, isLast: boolean): void {
    this.#header = [];
    this.#skip = skip;
    this.#isLast = isLast;
  }
}
