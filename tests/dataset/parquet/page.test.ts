// Pages written byte by byte: the memory that their values will take, and runs that are too long.

import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { type Header, type Leaf, openPage } from "../../../src/dataset/parquet/page.ts";

const leaf = (more: Partial<Leaf> = {}): Leaf => ({
  ...{ type: "BYTE_ARRAY", codec: "UNCOMPRESSED", repetitionMax: 0, definitionMax: 0, ...more },
});

function headerOf(size: number, values: number, encoding: string, more: object = {}): Header {
  return {
    type: "DATA_PAGE",
    uncompressed_page_size: size,
    compressed_page_size: size,
    data_page_header: { num_values: values, encoding },
    ...more,
  } as never;
}

const open = (bytes: readonly number[], values: number, encoding: string, own = leaf()) =>
  openPage(headerOf(bytes.length, values, encoding), Uint8Array.from(bytes), own);

/** A whole number as a varint. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))];
}

/** A run of so many equal values of one byte at most. */
const run = (count: number) => [...varint(count * 2), 1];
const framed = (bytes: readonly number[]) => [bytes.length, 0, 0, 0, ...bytes];

test("a run that is longer than its page is refused: of indices, of booleans and of levels", () => {
  const damaged = (values: number, count: number) =>
    `the file is damaged: a page of ${values} values has a run of ${count}`;
  const most = 10 + 512;
  expect(() => open([1, ...run(most)], 10, "RLE_DICTIONARY")).not.toThrow();
  expect(() => open([1, ...run(most + 1)], 10, "RLE_DICTIONARY")).toThrow(damaged(10, most + 1));
  expect(() => open([1, ...run(9), ...run(2 ** 27)], 10, "PLAIN_DICTIONARY")).toThrow(
    damaged(10, 2 ** 27),
  );
  expect(() => open(framed(run(2 ** 27)), 10, "RLE", leaf({ type: "BOOLEAN" }))).toThrow(
    damaged(10, 2 ** 27),
  );
  for (const own of [leaf({ repetitionMax: 1 }), leaf({ definitionMax: 3 })]) {
    expect(() => open(framed(run(10)), 10, "PLAIN", own)).not.toThrow();
    expect(() => open(framed(run(2 ** 27)), 10, "PLAIN", own)).toThrow(damaged(10, 2 ** 27));
  }
  // Values in groups of eight, of no bits.
  expect(() => open([1, ...varint(2 ** 27 + 1), 0], 10, "RLE_DICTIONARY")).toThrow(
    damaged(10, 2 ** 29),
  );
});

test("levels of the second version have their lengths in the header", () => {
  const second = (levels: readonly number[], own: Leaf) => {
    const bytes = [...levels, 1, ...run(10)];
    const page = {
      num_values: 10,
      num_nulls: 0,
      encoding: "RLE_DICTIONARY",
      repetition_levels_byte_length: own.repetitionMax > 0 ? levels.length : 0,
      definition_levels_byte_length: own.definitionMax > 0 ? levels.length : 0,
    };
    const more = { type: "DATA_PAGE_V2", data_page_header: undefined, data_page_header_v2: page };
    return openPage(headerOf(bytes.length, 10, "", more), Uint8Array.from(bytes), own);
  };
  for (const own of [leaf({ repetitionMax: 1 }), leaf({ definitionMax: 1 })]) {
    expect(() => second(run(10), own)).not.toThrow();
    expect(() => second(run(10_000), own)).toThrow("a page of 10 values has a run of 10000");
  }
});

test("the memory of a page is that of its values, and texts of their own take more", () => {
  const plain = open([...Array(100).fill(0)], 20, "PLAIN");
  expect(plain.decodedBytes).toBe(2 * 100 + 20 * 24 + 20 * 128);
  // A text takes four bytes at least, so that more values than that are a lie.
  expect(open(Array(8).fill(0), 1000, "PLAIN").decodedBytes).toBe(2 * 8 + 1000 * 24 + 2 * 128);
  const numbers = open(Array(80).fill(0), 10, "PLAIN", leaf({ type: "INT64" }));
  expect(numbers.decodedBytes).toBe(80 + 10 * 24);
  const indices = open([1, ...run(1000)], 1000, "RLE_DICTIONARY");
  expect(indices.decodedBytes).toBe(4 + 1000 * 24);
  const dictionary = openPage(
    headerOf(40, 0, "", {
      type: "DICTIONARY_PAGE",
      data_page_header: undefined,
      dictionary_page_header: { num_values: 10 },
    }),
    new Uint8Array(40),
    leaf(),
  );
  expect(dictionary.decodedBytes).toBe(2 * 40 + 10 * 24 + 10 * 128);
});

test("texts that repeat the beginnings of others are counted with all of their bytes", () => {
  // Blocks of 128 values in one part; the first value, and the smallest step of the others.
  const deltas = (count: number, first: number, step: number) => [
    ...varint(128),
    1,
    ...varint(count),
    ...varint(2 * first),
    ...varint(2 * step),
    0,
  ];
  const prefixes = deltas(3, 0, 1000);
  const suffixes = deltas(3, 5, 0);
  const bytes = [...prefixes, ...suffixes, ...Array(15).fill(97)];
  const { decodedBytes } = open(bytes, 3, "DELTA_BYTE_ARRAY");
  const texts = 5 + 1005 + 2005;
  expect(decodedBytes).toBe(2 * bytes.length + 3 * (24 + 128) + 2 * texts);
  // One of four values is null.
  const levels = framed([0b11, 0b1110]);
  const nullable = open([...levels, ...bytes], 4, "DELTA_BYTE_ARRAY", leaf({ definitionMax: 1 }));
  const size = levels.length + bytes.length;
  expect(nullable.decodedBytes).toBe(2 * size + 4 * (24 + 128) + 2 * texts);
});

test("a page is decompressed once, and must have the bytes that its header says", () => {
  const content = Uint8Array.from([1, ...run(3)]);
  const stored = gzipSync(content);
  const own = leaf({ codec: "GZIP" });
  const opened = openPage(headerOf(content.length, 3, "RLE_DICTIONARY"), stored, own);
  expect([...opened.bytes]).toEqual([...content]);
  expect(opened.header.compressed_page_size).toBe(content.length);
  expect(openPage(headerOf(0, 0, "PLAIN"), new Uint8Array(), own).bytes).toHaveLength(0);
  expect(() => open([1], 1, "PLAIN", leaf({ codec: "LZO" }))).toThrow(
    "pages are compressed as LZO",
  );
});
