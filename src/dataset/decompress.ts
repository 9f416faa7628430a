// The content of a file, streamed, from any compression that a name can tell. Cut and damaged files
// are errors.

import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { createGunzip } from "node:zlib";
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
 * Blocks of up to 900 kB, each checked by its CRC. The library's stream decodes within `write`, so
 * memory holds the blocks of one chunk.
 */
async function* unbzip2(bytes: Readable): AsyncGenerator<Buffer> {
  const { default: create } = await import("unbzip2-stream");
  const content = create();
  const blocks: Buffer[] = [];
  const errors: unknown[] = [];
  content.on("data", (block: Buffer) => void blocks.push(block));
  content.on("error", (error: unknown) => void errors.push(error));
  const take = (): Buffer[] => {
    if (errors.length > 0) throw errors[0];
    return blocks.splice(0);
  };
  for await (const chunk of bytes as AsyncIterable<Buffer>) {
    content.write(chunk);
    yield* take();
  }
  content.end();
  yield* take();
}

/** What the decoder's codes mean (xz_ret of XZ Embedded). */
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
