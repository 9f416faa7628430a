// Zstandard frames (RFC 8878, section 3.1): independent pieces of a compressed file, one after the other. Each has a checksum. A
// frame's end is read off its block headers, so that one that was cut is known without guessing; the decompressors of
// some runtimes take a cut frame for an empty one, and stop after the first of several.

import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompressSync } from "node:zlib";

const MAGIC = 0xfd2fb528;
/** Magic number and flags. */
const START_BYTES = 5;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
/** By the flags of the frame header. */
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

const compress = promisify(zstdCompress);

export function encodeFrame(bytes: Uint8Array): Promise<Uint8Array> {
  return compress(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
}

/** Null when it is damaged. Takes one whole frame. */
export function decodeFrame(frame: Uint8Array): Buffer | null {
  try {
    return zstdDecompressSync(frame);
  } catch {
    return null;
  }
}

/** How many bytes the frame at the start of `bytes` has; "cut" when there are fewer, "foreign" when there is no frame. */
export function frameBytes(bytes: Buffer): number | "cut" | "foreign" {
  if (bytes.length < START_BYTES) return startsLikeFrame(bytes) ? "cut" : "foreign";
  if (bytes.readUInt32LE(0) !== MAGIC) return "foreign";
  const flags = bytes.readUInt8(4);
  const singleSegment = (flags & 0x20) !== 0;
  const contentSize = CONTENT_SIZE_BYTES[(flags >> 6) as 0 | 1 | 2 | 3];
  const dictionaryId = DICTIONARY_ID_BYTES[(flags & 3) as 0 | 1 | 2 | 3];
  let at = START_BYTES + (singleSegment ? 0 : 1) + dictionaryId + (singleSegment && contentSize === 0 ? 1 : contentSize);
  for (let last = false; !last; ) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return "cut";
    const header = bytes.readUIntLE(at, BLOCK_HEADER_BYTES);
    last = (header & 1) === 1;
    const type = (header >> 1) & 3;
    if (type === RESERVED_BLOCK) return "foreign";
    at += BLOCK_HEADER_BYTES + (type === RLE_BLOCK ? 1 : header >> 3);
  }
  if ((flags & 4) !== 0) at += CHECKSUM_BYTES;
  return at > bytes.length ? "cut" : at;
}

function startsLikeFrame(bytes: Buffer): boolean {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC);
  return magic.subarray(0, bytes.length).equals(bytes.subarray(0, 4));
}
