// The content of a file, streamed, from any compression that a name can tell. Cut and damaged files
// are errors.

import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { createGunzip } from "node:zlib";
import type { BitReader } from "unbzip2-stream/lib/bit_iterator.js";
import { messageOf } from "../error.ts";
import type { Compression } from "./format.ts";
import { decompress as unzstd } from "./zstd.ts";

type Chunks = AsyncIterable<Buffer>;

const DECOMPRESSORS: Readonly<Record<NonNullable<Compression>, (bytes: Readable) => Chunks>> = {
  gz: gunzip,
  zst: unzstd,
  bz2: unbzip2,
  xz: unxz,
};

/** The content of a file whose bytes these are. */
export async function* decompress(
  bytes: Readable,
  compression: Compression,
): AsyncGenerator<Buffer> {
  if (compression === null) {
    yield* bytes as Chunks;
    return;
  }
  try {
    yield* DECOMPRESSORS[compression](bytes);
    if ("bytesRead" in bytes && bytes.bytesRead === 0) throw new Error("it is empty");
  } catch (cause) {
    // An error of the file system says by itself what is wrong.
    if (typeof (cause as { syscall?: unknown }).syscall === "string") throw cause;
    // The libraries read on after the end of their bytes.
    const reason = cause instanceof TypeError ? "its end is missing" : messageOf(cause);
    throw new Error(`the .${compression} file is damaged or cut short: ${reason}`, { cause });
  } finally {
    bytes.destroy();
  }
}

function gunzip(bytes: Readable): Chunks {
  const gunzip = createGunzip();
  bytes.on("error", (error) => gunzip.destroy(error));
  return bytes.pipe(gunzip);
}

/**
 * The blocks of the streams of a file, each decoded when it is taken: a block of 50 bytes may give
 * 46 MB. The stream of the library would decode all blocks of a chunk first.
 */
async function* unbzip2(bytes: Readable): AsyncGenerator<Buffer> {
  const { default: library } = await import("unbzip2-stream/lib/bzip2.js");
  const { default: bitReader } = await import("unbzip2-stream/lib/bit_iterator.js");
  const input: Buffer[] = [];
  let came = 0;
  let bits: BitReader | null = null;
  /** In units of 100 kB; 0 before the header of a stream. */
  let level = 0;
  /** The checksum of the stream so far; null between two streams. */
  let checksum: number | null = null;
  const left = (): number => came - (bits?.bytesRead ?? 0);
  const next = (bits: BitReader): Buffer => {
    if (level === 0) {
      level = library.header(bits);
      checksum = 0;
      return Buffer.alloc(0);
    }
    const size = level * 100_000;
    let block = Buffer.allocUnsafeSlow(size);
    let length = 0;
    const take = (byte: number): void => {
      if (length === block.length) block = Buffer.concat([block], length * 2);
      block[length++] = byte;
    };
    checksum = library.decompress(bits, take, new Int32Array(size), size, checksum);
    if (checksum === null) level = 0;
    return block.subarray(0, length);
  };
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    input.push(chunk);
    came += chunk.length;
    bits ??= bitReader(() => input.shift() ?? endsWithinBlock());
    // The input of a block is less than its content and a header.
    while (left() > level * 100_000 + BZIP2_HEADER_BYTES) yield next(bits);
  }
  while (bits !== null && left() > 0) yield next(bits);
  if (checksum !== null) endsWithinBlock();
}

/** Bytes that a block may have beside its data, rounded up. */
const BZIP2_HEADER_BYTES = 25_000;

function endsWithinBlock(): never {
  throw new Error("its end is missing");
}

/** The meanings of the decoder's codes (xz_ret of XZ Embedded). */
const XZ_REASONS: Readonly<Record<string, string>> = {
  4: "it needs a dictionary of more than 64 MiB; compress it again with xz -6",
  5: "it is not xz",
  6: "it has a filter or a checksum that is not supported; compress it again with xz -6",
  7: "a checksum does not match",
  8: "its end is missing",
};

async function* unxz(bytes: Readable): AsyncGenerator<Buffer> {
  const { XzReadableStream } = await import("xz-decompress");
  const source = Readable.toWeb(bytes) as unknown as globalThis.ReadableStream<Uint8Array>;
  const content = new XzReadableStream(source) as unknown as ReadableStream<Uint8Array>;
  try {
    // The decoder uses its output buffer again.
    for await (const chunk of content) yield Buffer.from(chunk);
  } catch (cause) {
    const code = /error code (\d+)$/.exec(messageOf(cause))?.[1] ?? "";
    throw new Error(XZ_REASONS[code] ?? messageOf(cause), { cause });
  }
}
