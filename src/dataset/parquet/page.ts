// A page of Parquet, decompressed and checked before it is decoded. The library trusts what a page
// says: a run of equal values may claim to be longer than its page, and a text may repeat a text
// before it, so that few bytes become any number of them.

import type { parquetHeader } from "hyparquet/src/column.js";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { readVarInt } from "hyparquet/src/thrift.js";
import { compressors } from "hyparquet-compressors";
import { decodePage } from "../zstd.ts";

export type Header = ReturnType<typeof parquetHeader>;

/** The leaf that a page belongs to. */
export interface Leaf {
  readonly type: string;
  readonly codec: string;
  readonly repetitionMax: number;
  readonly definitionMax: number;
}

export interface Page {
  /** The header of the page as it is without compression. */
  readonly header: Header;
  readonly bytes: Uint8Array;
  /** About the memory that its values take. */
  readonly decodedBytes: number;
}

/** Memory of a value with its levels, in lists of JavaScript. */
const VALUE_BYTES = 24;
/** Memory of a text or of bytes beside the content. */
const OWN_TEXT_BYTES = 128;
/** A text that repeats another one is made as bytes, and then as a text. */
const COPIES = 2;
/** Bytes of the length that stands before each text in the plain encoding. */
const LENGTH_BYTES = 4;
/** Writers fill the last group of a run up. */
const FILLED_MAX = 512;

/** Fails when the page is damaged, or when a run of it is longer than the page. */
export function openPage(compressed: Header, stored: Uint8Array, leaf: Leaf): Page {
  const { header, bytes } = decompress(compressed, stored, leaf.codec);
  const data = header.data_page_header ?? header.data_page_header_v2;
  const decodedBytes = plainBytes(header, leaf);
  if (data === undefined) return { header, bytes, decodedBytes };
  const encoded = new Encoded(bytes, data.num_values);
  const nulls = checkLevels(encoded, header, leaf);
  const { encoding = "" } = data;
  if (encoding === "RLE") encoded.checkRuns(1, encoded.length());
  else if (encoding.endsWith("_DICTIONARY")) {
    const width = encoded.byte();
    if (width > 0) encoded.checkRuns(width, encoded.rest);
  }
  const texts = encoding === "DELTA_BYTE_ARRAY" ? encoded.textBytes(nulls()) : 0;
  return { header, bytes, decodedBytes: decodedBytes + texts };
}

/**
 * The bytes of a page and the header that describes them. The library's Zstandard would take as
 * much memory as the compressed data says, and its LZ4 fails on empty pages.
 */
function decompress(header: Header, stored: Uint8Array, codec: string) {
  const { uncompressed_page_size: size, data_page_header_v2: second } = header;
  const decompressor = CODECS[codec];
  if (codec === "UNCOMPRESSED" || second?.is_compressed === false) return { header, bytes: stored };
  if (decompressor === undefined) throw new Error(`pages are compressed as ${codec}`);
  // In the second version, levels stand before the compressed part.
  const levels =
    (second?.repetition_levels_byte_length ?? 0) + (second?.definition_levels_byte_length ?? 0);
  const length = size - levels;
  const part = length === 0 ? new Uint8Array() : decompressor(stored.subarray(levels), length);
  if (part.length !== length)
    throw new Error(`the file is damaged: a page has ${part.length} bytes and not ${length}`);
  const bytes = levels === 0 ? part : Buffer.concat([stored.subarray(0, levels), part]);
  const plain = { ...header, compressed_page_size: size };
  return {
    bytes,
    header:
      second === undefined
        ? plain
        : { ...plain, data_page_header_v2: { ...second, is_compressed: false } },
  };
}

const CODECS: Readonly<Record<string, (input: Uint8Array, length: number) => Uint8Array>> = {
  ...compressors,
  ZSTD: decodePage,
};

/** About the memory of the values, by what the header says. */
function plainBytes(header: Header, { type }: Leaf): number {
  const { uncompressed_page_size: bytes, dictionary_page_header: dictionary } = header;
  const data = header.data_page_header ?? header.data_page_header_v2;
  const values = (data ?? dictionary)?.num_values ?? 0;
  const encoding = data?.encoding ?? "PLAIN";
  const isText = type === "BYTE_ARRAY" || type === "FIXED_LEN_BYTE_ARRAY";
  if (!isText || encoding.endsWith("_DICTIONARY")) return bytes + values * VALUE_BYTES;
  const most = type === "BYTE_ARRAY" && encoding === "PLAIN" ? bytes / LENGTH_BYTES : values;
  return 2 * bytes + values * VALUE_BYTES + Math.min(values, most) * OWN_TEXT_BYTES;
}

/** Checks the runs of the levels. Returns what counts the nulls. */
function checkLevels(encoded: Encoded, header: Header, leaf: Leaf): () => number {
  const { data_page_header_v2: second } = header;
  const widthOf = (max: number): number => 32 - Math.clz32(max);
  if (second !== undefined) {
    encoded.checkRuns(widthOf(leaf.repetitionMax), second.repetition_levels_byte_length);
    encoded.checkRuns(widthOf(leaf.definitionMax), second.definition_levels_byte_length);
    return () => second.num_nulls;
  }
  if (leaf.repetitionMax > 0) encoded.checkRuns(widthOf(leaf.repetitionMax), encoded.length());
  if (leaf.definitionMax === 0) return () => 0;
  const levels = encoded.at;
  encoded.checkRuns(widthOf(leaf.definitionMax), encoded.length());
  return () => encoded.nullsAt(levels, leaf.definitionMax);
}

/** The encoded values of a page, read from its beginning. */
class Encoded {
  readonly #view: DataView;
  readonly #values: number;
  at = 0;

  constructor(bytes: Uint8Array, values: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#values = values;
  }

  get rest(): number {
    return this.#view.byteLength - this.at;
  }

  byte(): number {
    return this.#view.getUint8(this.at++);
  }

  length(): number {
    this.at += LENGTH_BYTES;
    return this.#view.getUint32(this.at - LENGTH_BYTES, true);
  }

  /** Goes over runs of values of this width in bits. Fails when they are more than the page has. */
  checkRuns(width: number, bytes: number): void {
    const end = this.at + bytes;
    const reader = { view: this.#view, offset: this.at };
    this.at = end;
    for (let seen = 0; seen < this.#values && reader.offset < end; ) {
      const run = readVarInt(reader);
      const isPacked = (run & 1) === 1;
      const count = isPacked ? (run >>> 1) * 8 : run >>> 1;
      reader.offset += isPacked ? (run >>> 1) * width : Math.ceil(width / 8);
      seen += count;
      if (seen > this.#values + FILLED_MAX)
        throw new Error(
          `the file is damaged: a page of ${this.#values} values has a run of ${count}`,
        );
    }
  }

  nullsAt(at: number, definitionMax: number): number {
    const levels: number[] = new Array(this.#values);
    const width = 32 - Math.clz32(definitionMax);
    readRleBitPackedHybrid({ view: this.#view, offset: at }, width, levels);
    return levels.filter((level) => level !== definitionMax).length;
  }

  /** Bytes of texts, where each text may begin with a part of the one before it. */
  textBytes(nulls: number): number {
    const count = this.#values - nulls;
    if (count <= 0) return 0;
    const reader = { view: this.#view, offset: this.at };
    const [prefixes, suffixes] = [new Int32Array(count), new Int32Array(count)];
    deltaBinaryUnpack(reader, count, prefixes);
    deltaBinaryUnpack(reader, count, suffixes);
    const bytes = prefixes.reduce((sum, prefix, i) => sum + prefix + (suffixes[i] ?? 0), 0);
    return COPIES * bytes;
  }
}
