// Compressed files: whole ones, several streams in one file, and damaged ones.

import { expect, test } from "bun:test";
import { Readable } from "node:stream";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { decompress } from "../../src/dataset/decompress.ts";
import type { Compression } from "../../src/dataset/format.ts";

const TEXTS = ['{"k":1}\n', '{"k":2}\n'];
const decoded = (...texts: readonly string[]) => texts.map((text) => Buffer.from(text, "base64"));
/** Each text in a stream of its own, as the programs of these names write it. */
const STREAMS: Readonly<Record<NonNullable<Compression>, readonly Buffer[]>> = {
  gz: TEXTS.map((text) => gzipSync(text)),
  zst: TEXTS.map((text) => zstdCompressSync(text)),
  bz2: decoded(
    "QlpoOTFBWSZTWVXWPOsAAANZgAAQEAAgEAAIAAogACIDZQhgEUofF3JFOFCQVdY86w==",
    "QlpoOTFBWSZTWVe/yWIAAANZgAAQEAAQEAAIAAogACIDZQhgEUofF3JFOFCQV7/JYg==",
  ),
  xz: decoded(
    "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAHeyJrIjoxfQoACIU6aUdacW8AASAIuxnZux+2830BAAAAAARZWg==",
    "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAHeyJrIjoyfQoAVTOE2ph5bS4AASAIuxnZux+2830BAAAAAARZWg==",
  ),
};
const XZ_SHA256 =
  "/Td6WFoAAArh+wyhAgAhARYAAAB0L+WjAQAHeyJrIjoxfQoAagIVBLAtwYwLa/jf69vcpXnwq0117MsJzuromICgB60AATgI4oHCORibS5oBAAAAAApZWg==";
const XZ_LARGE =
  "/Td6WFoAAATm1rRGAgAhAR4AAACbB1FmAQAHeyJrIjoxfQoACIU6aUdacW8AASAIuxnZux+2830BAAAAAARZWg==";

async function contentOf(bytes: Buffer, compression: Compression, step = 7): Promise<string> {
  const chunks = Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) =>
    bytes.subarray(i * step, (i + 1) * step),
  );
  const stream = Readable.from(chunks, { objectMode: false });
  return Buffer.concat(await Array.fromAsync(decompress(stream, compression))).toString();
}

const EACH = Object.entries(STREAMS) as [NonNullable<Compression>, readonly Buffer[]][];

test("a file without compression is given as it is", async () => {
  expect(await contentOf(Buffer.from("ab\n".repeat(9)), null)).toBe("ab\n".repeat(9));
});

test.each(EACH)(
  "a .%s file of several streams is read to its end, from chunks of any size",
  async (compression, streams) => {
    for (const step of [1, 7, 1000])
      expect(await contentOf(Buffer.concat(streams), compression, step)).toBe(TEXTS.join(""));
  },
);

test.each(EACH)(
  "a .%s file that is cut short is an error",
  async (compression, [stream = Buffer.alloc(0)]) => {
    for (const cut of [1, 5, stream.length - 6])
      await expect(contentOf(stream.subarray(0, -cut), compression)).rejects.toThrow(
        new RegExp(`^the .${compression} file is damaged or cut short: [^(]*(end|incomplete)`),
      );
  },
);

test.each(EACH)("a file that is no .%s is an error", async (compression) => {
  await expect(contentOf(Buffer.from(TEXTS.join("")), compression)).rejects.toThrow(
    `the .${compression} file is damaged or cut short: `,
  );
});

test.each([
  [XZ_SHA256, "it has a filter or a checksum that is not supported; compress it again with xz -6"],
  [XZ_LARGE, "it needs a dictionary of more than 64 MiB; compress it again with xz -6"],
])("an xz file that cannot be read says why and what to do (%#)", async (text, reason) => {
  await expect(contentOf(Buffer.from(text, "base64"), "xz")).rejects.toThrow(reason);
});

test.each([27, 28, 31])("a Zstandard file with a window of 2^%p bytes is read", async (log) => {
  const params = { [constants.ZSTD_c_windowLog]: log, [constants.ZSTD_c_contentSizeFlag]: 0 };
  const text = TEXTS.join("").repeat(1000);
  expect(await contentOf(zstdCompressSync(text, { params }), "zst", 1000)).toBe(text);
});

test("a missing file is an error of the file system", async () => {
  const stream = (await import("node:fs")).createReadStream("/no/such/file");
  const reading = Array.fromAsync(decompress(stream, "gz"));
  await expect(reading).rejects.toThrow(/^ENOENT/);
});

/** Three blocks of 5 MB each, the last of which has a damaged checksum. */
const BZ2_BLOCKS =
  "QlpoMTFBWSZTWX6yQ8QADQTAAMAAAAggACCkCDSoKjEqCo5igrJMprL9ZIeIABoJgAGAAAAQQABBSBBpUFRiVBUcxQVkmU1koBNwDAA3MQATAAAABAAggADDMCappqihNqUUJ4u5IpwoSB/Uqk0A";

test("blocks of a .bz2 file are decoded one by one, however much each holds", async () => {
  const [bytes = Buffer.alloc(0)] = decoded(BZ2_BLOCKS);
  const blocks: Buffer[] = [];
  const read = async () => {
    for await (const block of decompress(Readable.from([bytes], { objectMode: false }), "bz2"))
      blocks.push(block);
  };
  await expect(read()).rejects.toThrow("the .bz2 file is damaged or cut short: ");
  const sizes = blocks.map(({ length }) => length).filter((length) => length > 0);
  expect(sizes).toEqual([5_099_235, 5_099_235]);
  expect(Buffer.concat(blocks).every((byte) => byte === 0)).toBe(true);
});
