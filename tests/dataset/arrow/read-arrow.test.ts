// Arrow IPC in both of its formats, with values that must stay exact.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  List,
  makeBuilder,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimeMicrosecond,
  TimestampMicrosecond,
  TimestampNanosecond,
  TimestampSecond,
  tableToIPC,
  Uint64,
  Utf8,
  Vector,
} from "apache-arrow";
import { readArrow } from "../../../src/dataset/arrow/read-arrow.ts";
import type { Json } from "../../../src/task/json.ts";
import { withFolder } from "../../parts/folder.ts";

/** The values of a column in raw form; null for none. */
function dataOf(type: DataType, data: ArrayLike<unknown> | null, nulls: readonly number[] = []) {
  const length = data?.length ?? 0;
  const nullBitmap = new Uint8Array(8).map((_, byte) =>
    nulls.reduce((bits, row) => (row >> 3 === byte ? bits & ~(1 << (row & 7)) : bits), 0xff),
  );
  return makeData({ type, length, nullCount: nulls.length, nullBitmap, data } as never);
}

function tableOf(columns: readonly (readonly [name: string, data: ReturnType<typeof dataOf>])[]) {
  const fields = columns.map(([name, data]) => new Field(name, data.type, true));
  const children = columns.map(([, data]) => data);
  const type = new Struct(fields);
  const length = children[0]?.length ?? 0;
  const batch = makeData({ type, length, nullCount: 0, children } as never);
  return new Table(new Schema(fields), [new RecordBatch(new Schema(fields), batch as never)]);
}

async function rowsOf(
  bytes: Uint8Array,
  columns: readonly string[] | null = null,
  bytesMax?: number,
) {
  return withFolder(async (folder) => {
    await writeFile(join(folder, "d.arrow"), bytes);
    const batches = await Array.fromAsync(readArrow(join(folder, "d.arrow"), columns, bytesMax));
    return batches.flat();
  });
}

const texts = (values: readonly (string | null)[]) => {
  const builder = makeBuilder({ type: new Utf8(), nullValues: [null] });
  for (const value of values) builder.append(value);
  return builder.finish().toVector().data[0] as never;
};

test.each<[name: string, type: DataType, raw: ArrayLike<unknown>, values: readonly Json[]]>([
  ["64-bit integers", new Int64(), BigInt64Array.of(2n ** 62n, -5n), [2n ** 62n, -5]],
  ["unsigned integers", new Uint64(), BigUint64Array.of(2n ** 64n - 1n, 7n), [2n ** 64n - 1n, 7]],
  ["fractions", new Float64(), Float64Array.of(0.1, Number.NaN), [0.1, null]],
  [
    "decimals",
    new Decimal(2, 20, 128),
    Uint32Array.of(12_345, 0, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff),
    ["123.45", "-0.01"],
  ],
  [
    "microseconds in UTC",
    new TimestampMicrosecond("UTC"),
    BigInt64Array.of(1n, -1n),
    ["1970-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z"],
  ],
  [
    "nanoseconds without a zone",
    new TimestampNanosecond(),
    BigInt64Array.of(1n, 0n),
    ["1970-01-01T00:00:00.000000001", "1970-01-01T00:00:00.000000000"],
  ],
  [
    "seconds",
    new TimestampSecond(),
    BigInt64Array.of(1n, -1n),
    ["1970-01-01T00:00:01.000", "1969-12-31T23:59:59.000"],
  ],
  [
    "times of a day",
    new TimeMicrosecond(),
    BigInt64Array.of(3_723_000_004n, 0n),
    ["01:02:03.000004", "00:00:00.000000"],
  ],
  ["dates", new DateDay(), Int32Array.of(-1, 11_016), ["1969-12-31", "2000-02-29"]],
  [
    "dates in milliseconds",
    new DateMillisecond(),
    BigInt64Array.of(-86_400_000n, 86_400_000n),
    ["1969-12-31", "1970-01-02"],
  ],
  ["booleans", new Bool(), Uint8Array.of(0b01), [true]],
])("Arrow keeps %s exact, as a stream and as a file", async (_, type, raw, values) => {
  const data = makeData({ type, length: values.length, nullCount: 0, data: raw } as never);
  const table = tableOf([["v", data as never]]);
  for (const format of ["stream", "file"] as const)
    expect(await rowsOf(tableToIPC(table, format))).toEqual(values.map((v) => ({ v })));
});

test("nulls, texts, lists, objects and dictionaries become JSON", async () => {
  const numbers = dataOf(new Int32(), Int32Array.of(1, 2, 3), [1]);
  const list = makeData({
    type: new List(new Field("item", new Int32(), true)),
    ...{ length: 3, nullCount: 0, valueOffsets: Int32Array.of(0, 2, 2, 3), child: numbers },
  } as never);
  const struct = makeData({
    type: new Struct([new Field("x", new Int32(), true)]),
    ...{ length: 3, nullCount: 0, children: [numbers] },
  } as never);
  const dictionary = makeData({
    type: new Dictionary(new Utf8(), new Int32()),
    ...{ length: 3, nullCount: 0, data: Int32Array.of(1, 0, 1) },
    dictionary: new Vector([texts(["a", "ж"])]),
  } as never);
  const table = tableOf([
    ["t", texts(["ä", null, ""])],
    ["n", numbers],
    ["l", list as never],
    ["o", struct as never],
    ["d", dictionary as never],
  ]);
  expect(await rowsOf(tableToIPC(table, "stream"))).toEqual([
    { t: "ä", n: 1, l: [1, null], o: { x: 1 }, d: "ж" },
    { t: null, n: null, l: [], o: { x: null }, d: "a" },
    { t: "", n: 3, l: [3], o: { x: 3 }, d: "ж" },
  ]);
  expect(await rowsOf(tableToIPC(table, "file"), ["d", "n"])).toEqual([
    { n: 1, d: "ж" },
    { n: null, d: "a" },
    { n: 3, d: "ж" },
  ]);
});

test("text of Arrow that is not UTF-8 is a problem of its row alone", async () => {
  const type = new Binary();
  const buffers = { valueOffsets: Int32Array.of(0, 1, 2), data: Uint8Array.of(0x61, 0xff) };
  const bytes = makeData({ type, length: 2, nullCount: 0, ...buffers } as never);
  const text = (bytes as { clone: (type: DataType) => unknown }).clone(new Utf8());
  expect(await rowsOf(tableToIPC(tableOf([["b", bytes as never]]), "file"))).toEqual([
    { b: "a" },
    { b: "/w==" },
  ]);
  expect(await rowsOf(tableToIPC(tableOf([["t", text as never]]), "file"))).toEqual([
    { t: "a" },
    'the text of the column "t" is not UTF-8',
  ]);
});

/** A stream of pyarrow with a column `v` of the type month_day_nano_interval. */
const INTERVAL =
  "/////3AAAAAQAAAAAAAKAAwABgAFAAgACgAAAAABBAAMAAAACAAIAAAABAAIAAAABAAAAAEAAAAUAAAAEAAUAAgA" +
  "BgAHAAwAAAAQABAAAAAAAAELEAAAABgAAAAEAAAAAAAAAAEAAAB2AAYACAAGAAYAAAAAAAIA/////4gAAAAUAAAA" +
  "AAAAAAwAFgAGAAUACAAMAAwAAAAAAwQAGAAAABAAAAAAAAAAAAAKABgADAAEAAgACgAAADwAAAAQAAAAAQAAAAAA" +
  "AAAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAAAAAAAAA" +
  "AQAAAAIAAAADAAAAAAAAAP////8AAAAA";

test("intervals of Arrow are refused, because a row cannot hold them", async () => {
  await expect(rowsOf(Buffer.from(INTERVAL, "base64"))).rejects.toThrow(
    'the column "v" has intervals, which a row cannot hold',
  );
});

test("Arrow comes in batches of 256 rows", async () => {
  const table = tableOf([["n", dataOf(new Int32(), new Int32Array(600))]]);
  await withFolder(async (folder) => {
    await writeFile(join(folder, "d.arrow"), tableToIPC(table, "stream"));
    const batches = await Array.fromAsync(readArrow(join(folder, "d.arrow"), null));
    expect(batches.map(({ length }) => length)).toEqual([256, 256, 88]);
  });
});

test("columns of one name, missing columns and damaged files are refused", async () => {
  const column = dataOf(new Int32(), Int32Array.of(1));
  const twice = tableToIPC(
    tableOf([
      ["a", column],
      ["b", column],
      ["a", column],
    ]),
    "stream",
  );
  await expect(rowsOf(twice)).rejects.toThrow(
    'the file has the column "a" more than once; columns: a, b, a.',
  );
  const bytes = tableToIPC(tableOf([["a", column]]), "stream");
  await expect(rowsOf(bytes, ["c"])).rejects.toThrow('the file has no column "c"; columns: a');
  const file = tableToIPC(tableOf([["a", column]]), "file");
  for (const damaged of [
    bytes.subarray(0, 0),
    bytes.subarray(0, 40),
    bytes.subarray(0, -30),
    file.subarray(0, -20),
    Buffer.from("no arrow at all"),
  ])
    await expect(rowsOf(damaged)).rejects.toThrow(
      "the file is not Arrow IPC, damaged or cut short: ",
    );
});

const listOf = (offsets: readonly number[], child: unknown) =>
  makeData({
    type: new List(new Field("item", (child as { type: DataType }).type, true)),
    ...{ length: offsets.length - 1, nullCount: 0, valueOffsets: Int32Array.from(offsets), child },
  } as never) as never;

test("a list that ends beyond its values or before its start is an error of its row", async () => {
  const child = dataOf(new Int32(), Int32Array.of(1, 2, 3));
  const table = tableOf([["l", listOf([0, 3, 2 ** 31 - 1, 1, 3], child)]]);
  const damaged = 'a list of "l" ends beyond its values: the file is damaged';
  expect(await rowsOf(tableToIPC(table, "stream"))).toEqual([
    { l: [1, 2, 3] },
    damaged,
    damaged,
    { l: [2, 3] },
  ] as never);
});

test("a row that a small file makes large by repeating its values is an error of its row", async () => {
  const repeated = makeData({
    type: new Dictionary(new Utf8(), new Int32()),
    ...{ length: 1000, nullCount: 0, data: new Int32Array(1000) },
    dictionary: new Vector([texts(["x".repeat(600_000)])]),
  } as never);
  const table = tableOf([["l", listOf([0, 2, 999, 1000], repeated)]]);
  const [first, second, third] = await rowsOf(tableToIPC(table, "stream"));
  expect(first).toEqual({ l: ["x".repeat(600_000), "x".repeat(600_000)] });
  expect(second as unknown).toBe("the row has more than the 256 MiB that a row may have");
  expect(third).toEqual({ l: ["x".repeat(600_000)] });
});

/** Streams of pyarrow: two batches of 1000 rows with two columns of zeros, each of 8000 bytes. */
const ZEROS = {
  zstd:
    "H4sIAGrnDWsC//v/////FQwMDAIMIMDFwMPAxsDKwAFkAQEjC5DPAORxAEkWKMnAwATELlD2FaB+oEImkH4RqBhYKx" +
    "AnAfERsDwDowPYDhGgGWwM7GBTBaB2QvTKoOlNBNvLA8TsYHthZgCN+38BahcI8DBIQF3MAzaVgZkFbJYDAwLwMMgB" +
    "7WKBqykAYhUglgDiF8xICoEmgexjg9rHwoAbSENpBTRxBTR5Bmh4odqDyXeQh9AaW/X/JjjI+YJjhJHB+j6zDlHyo+" +
    "GCO1xANAC964LE6AIAAA==",
  lz4:
    "H4sIAGrnDWsC//v/////FQwMDAIMIMDFwMPAxsDKwAFkAQEjC5DPAORxAEkWKMnAwATELlD2FaB+oEImkH4RqBhYKx" +
    "AnAfERsDwDowPYDhGgGWwM7GBTBaB2QvTKoOlNBNvLA8TsYHthZgCN+38CahcI8DBIQF3MAzaVgZkFbNYEBgTgAYoI" +
    "gN0PUZMBtQ9kxgtmhDoWMES4AxtwhNIeaOIeaPIM0HBCNp8BC99BHmq3kq9EgkOTFpApDwyA//iBWwC6u6hlzmj40j" +
    "58QTQAMlupIXgDAAA=",
};
const unpacked = (text: string) => Bun.gunzipSync(Buffer.from(text, "base64"));

test.each(["zstd", "lz4"] as const)(
  "the buffers of a record batch are bounded in sum when %s has made them small",
  async (codec) => {
    const bytes = unpacked(ZEROS[codec]);
    expect(await rowsOf(bytes, null, 16_000)).toEqual(Array(2000).fill({ a: 0, b: 0 }));
    await expect(rowsOf(bytes, null, 15_999)).rejects.toThrow(
      /^a record batch has more than 0\.01525\d+ MiB; the file is damaged, or has to be written with/,
    );
  },
);

test("the dictionaries of an Arrow file are bounded in sum", async () => {
  const dictionary = (text: string) => {
    const builder = makeBuilder({ type: new Dictionary(new Utf8(), new Int32()) });
    builder.append(text);
    return builder.finish().toVector().data[0] as never;
  };
  const table = tableOf([
    ["a", dictionary("x".repeat(2 ** 19))],
    ["b", dictionary("y".repeat(2 ** 19))],
  ]);
  const bytes = tableToIPC(table, "stream");
  expect(await rowsOf(bytes, null, 2 ** 20 + 1000)).toHaveLength(1);
  await expect(rowsOf(bytes, null, 2 ** 20)).rejects.toThrow(
    "its dictionaries have more than 1 MiB; ",
  );
});

test("rows of one batch that all name a large value come in batches of their own", () =>
  withFolder(async (folder) => {
    const indices = dataOf(new Int32(), Int32Array.of(0, 0, 0, 0, 0));
    const large = new Vector([texts(["z".repeat(3 * 2 ** 20)])]);
    const type = new Dictionary(new Utf8(), new Int32());
    const data = makeData({ type, length: 5, data: indices.values, dictionary: large } as never);
    await writeFile(join(folder, "d.arrow"), tableToIPC(tableOf([["v", data as never]]), "stream"));
    const batches = await Array.fromAsync(readArrow(join(folder, "d.arrow"), null));
    expect(batches.map(({ length }) => length)).toEqual([2, 2, 1]);
  }));
