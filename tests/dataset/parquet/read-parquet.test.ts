import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { readParquet } from "../../../src/dataset/parquet/read-parquet.ts";
import { converterOf } from "../../../src/dataset/parquet/values.ts";
import { scanDataset } from "../../../src/dataset/scan.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { withFolder } from "../../parts/folder.ts";
import { matrix } from "../../parts/program.ts";
import { writeTexts } from "../parquet-file.ts";
import { readRows, sourceOf } from "../rows.ts";

type Written = Parameters<typeof parquetWriteBuffer>[0];

/** The rows of a file that was written with these options. */
async function rowsOf(written: Written): Promise<readonly JsonObject[]> {
  return withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    await writeFile(path, new Uint8Array(parquetWriteBuffer(written)));
    const rows: JsonObject[] = [];
    for await (const batch of readParquet(path, null))
      rows.push(...(batch as readonly JsonObject[]));
    return rows;
  });
}

test.each<[type: string, data: readonly unknown[], values: readonly Json[]]>([
  [
    "INT64",
    [2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n) + 1n, -(2n ** 53n), 0n],
    [9007199254740991, 9007199254740992n, -9007199254740991, -9007199254740992n, 0],
  ],
  ["DOUBLE", [1.5, Number.NaN, Number.POSITIVE_INFINITY, -0.5], [1.5, null, null, -0.5]],
  ["BOOLEAN", [true, false, null], [true, false, null]],
  [
    "TIMESTAMP",
    [new Date(0), new Date(1)],
    ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.001Z"],
  ],
  [
    "BYTE_ARRAY",
    [new Uint8Array([0xff, 0xfe]), Buffer.from("ä"), new Uint8Array()],
    ["//4=", "ä", ""],
  ],
  ["STRING", ["ä", "", null], ["ä", "", null]],
  ["JSON", [{ a: { b: null } }, [1], "t"], [{ a: { b: null } }, [1], "t"]],
])("values of the type %s become JSON", async (type, data, values) => {
  const column = { name: "v", data: [...data], type, nullable: true };
  const rows = await rowsOf({ columnData: [column as Written["columnData"][number]] });
  expect(rows).toEqual(values.map((v) => ({ v })));
});

test("lists of Parquet become lists whose values are JSON", async () => {
  const schema: Written["schema"] = [
    { name: "root", num_children: 1 },
    { name: "v", repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { name: "element", repetition_type: "OPTIONAL", type: "INT64" },
  ];
  const data = [[1n, null, 2n ** 60n], []];
  expect(await rowsOf({ schema, columnData: [{ name: "v", data }] })).toEqual([
    { v: [1, null, 1152921504606846976n] },
    { v: [] },
  ]);
});

/** The values of one column of this schema, in the order of `data`. */
async function valuesOf(
  element: Partial<NonNullable<Written["schema"]>[number]>,
  data: readonly unknown[],
): Promise<readonly unknown[]> {
  const schema: Written["schema"] = [
    { name: "root", num_children: 1 },
    { name: "v", repetition_type: "OPTIONAL", ...element },
  ];
  const rows = await rowsOf({ schema, columnData: [{ name: "v", data: [...data] }] });
  return rows.map(({ v }) => v);
}

test.each<[text: string, message: string]>([
  ['{"a":1,"a":2}', 'the JSON of the column "v" has the key "a" twice in one object'],
  ["[1", 'the column "v" holds no JSON: '],
])("the cell %s of a JSON column is an error that names the column", (text, message) => {
  const element = { name: "v", type: "BYTE_ARRAY", converted_type: "JSON" } as const;
  const convert = converterOf({ element, children: [], count: 1, path: ["v"] });
  expect(() => convert(Buffer.from(text))).toThrow(message);
});

const utc = { type: "TIMESTAMP", isAdjustedToUTC: true } as const;
const local = { type: "TIMESTAMP", isAdjustedToUTC: false } as const;

test.each<
  [name: string, element: Parameters<typeof valuesOf>[0], pairs: readonly [unknown, Json][]]
>([
  [
    "microseconds of an instant",
    { type: "INT64", logical_type: { ...utc, unit: "MICROS" } },
    [
      [1n, "1970-01-01T00:00:00.000001Z"],
      [-1n, "1969-12-31T23:59:59.999999Z"],
      [1_709_210_096_123_456n, "2024-02-29T12:34:56.123456Z"],
    ],
  ],
  [
    "nanoseconds without a time zone",
    { type: "INT64", logical_type: { ...local, unit: "NANOS" } },
    [
      [1n, "1970-01-01T00:00:00.000000001"],
      [2n ** 63n - 1n, "2262-04-11T23:47:16.854775807"],
      [-(2n ** 63n), "1677-09-21T00:12:43.145224192"],
    ],
  ],
  [
    "milliseconds of old files",
    { type: "INT64", converted_type: "TIMESTAMP_MILLIS" },
    [
      [0n, "1970-01-01T00:00:00.000Z"],
      [-62_167_219_200_001n, "-000001-12-31T23:59:59.999Z"],
      [253_402_300_800_000n, "+010000-01-01T00:00:00.000Z"],
      [2n ** 62n, "+146140482-04-24T15:36:27.904Z"],
    ],
  ],
  [
    "microseconds of old files",
    { type: "INT64", converted_type: "TIMESTAMP_MICROS" },
    [[5n, "1970-01-01T00:00:00.000005Z"]],
  ],
  [
    "dates",
    { type: "INT32", converted_type: "DATE" },
    [
      [20_454, "2026-01-01"],
      [20_485, "2026-02-01"],
      [20_513, "2026-03-01"],
      [20_544, "2026-04-01"],
      [20_574, "2026-05-01"],
      [20_605, "2026-06-01"],
      [20_635, "2026-07-01"],
      [20_666, "2026-08-01"],
      [20_697, "2026-09-01"],
      [20_727, "2026-10-01"],
      [20_758, "2026-11-01"],
      [20_788, "2026-12-01"],
      [20_604, "2026-05-31"],
      [20_665, "2026-07-31"],
      [20_818, "2026-12-31"],
      [2932896, "9999-12-31"],
      [-719_162, "0001-01-01"],
      [0, "1970-01-01"],
      [-1, "1969-12-31"],
      [11_016, "2000-02-29"],
      [11_017, "2000-03-01"],
      [-25_508, "1900-03-01"],
      [-25_509, "1900-02-28"],
      [-719_528, "0000-01-01"],
    ],
  ],
  [
    "times of a day in milliseconds",
    { type: "INT32", converted_type: "TIME_MILLIS" },
    [
      [0, "00:00:00.000"],
      [86_399_999, "23:59:59.999"],
    ],
  ],
  [
    "times of a day in microseconds",
    { type: "INT64", converted_type: "TIME_MICROS" },
    [[3_723_000_004n, "01:02:03.000004"]],
  ],
  [
    "times of a day in nanoseconds",
    { type: "INT64", logical_type: { type: "TIME", isAdjustedToUTC: true, unit: "NANOS" } },
    [[3_723_000_000_005n, "01:02:03.000000005"]],
  ],
  [
    "decimals in 4 bytes",
    { type: "INT32", converted_type: "DECIMAL", scale: 2, precision: 9 },
    [
      [1n, "0.01"],
      [-1n, "-0.01"],
      [0n, "0.00"],
      [-123_456n, "-1234.56"],
    ],
  ],
  [
    "decimals in 8 bytes",
    { type: "INT64", converted_type: "DECIMAL", scale: 18, precision: 18 },
    [
      [1n, "0.000000000000000001"],
      [123_456_789_012_345_678n, "0.123456789012345678"],
    ],
  ],
  [
    "decimals of many digits",
    {
      ...{ type: "FIXED_LEN_BYTE_ARRAY", type_length: 16 },
      ...{ converted_type: "DECIMAL", scale: 1, precision: 38 },
    },
    [
      [2n ** 127n - 1n, "17014118346046923173168730371588410572.7"],
      [-1n, "-0.1"],
    ],
  ],
  [
    "decimals without a fraction",
    { type: "INT64", converted_type: "DECIMAL", scale: 0, precision: 18 },
    [[-999_999_999_999_999_999n, "-999999999999999999"]],
  ],
])("Parquet keeps %s exact", async (_, element, pairs) => {
  const values = await valuesOf(element, [...pairs.map(([value]) => value), null]);
  expect(values).toEqual([...pairs.map(([, text]) => text), null]);
});

test("text of Parquet that is not UTF-8 is a problem of its row alone", async () => {
  const schema: Written["schema"] = [
    { name: "root", num_children: 1 },
    { name: "v", repetition_type: "OPTIONAL", type: "BYTE_ARRAY", converted_type: "UTF8" },
  ];
  const data = ["ä", new Uint8Array([0xff]), null];
  const rows = await rowsOf({ schema, columnData: [{ name: "v", data }] });
  expect(rows).toEqual([
    { v: "ä" },
    'the text of the column "v" is not UTF-8' as never,
    { v: null },
  ]);
});

test("a Parquet file with two columns of one name is refused with all names", async () => {
  const leaf = { type: "INT64", repetition_type: "REQUIRED" } as const;
  const twice: Written["schema"] = [
    { name: "root", num_children: 3 },
    { name: "a", ...leaf },
    { name: "b", ...leaf },
    { name: "a", ...leaf },
  ];
  const columnData = ["a", "b", "a"].map((name) => ({ name, data: [1n] }));
  await expect(rowsOf({ schema: twice, columnData })).rejects.toThrow(
    'the file has the column "a" more than once; columns: a, b, a. Give each column a name',
  );
});

test("Parquet is read in batches, one for each row group", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    writeTexts(path, 3, (row) => `text ${row}`);
    const batches: (readonly unknown[])[] = [];
    for await (const batch of readParquet(path, null)) batches.push(batch);
    expect(batches.map(({ length }) => length)).toEqual([100, 100, 100]);
    expect(batches.flat()).toEqual(
      Array.from({ length: 300 }, (_, k) => ({ k, text: `text ${k}` })),
    );
  }));

test("chosen columns of Parquet are read in the order of the file", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    writeTexts(path, 1, (row) => `text ${row}`);
    const first = async (columns: readonly string[]) => {
      for await (const [row] of readParquet(path, columns)) return JSON.stringify(row);
      return null;
    };
    expect(await first(["text"])).toBe('{"text":"text 0"}');
    expect(await first(["text", "k"])).toBe('{"k":0,"text":"text 0"}');
    await expect(first(["k", "question"])).rejects.toThrow(
      'the file has no column "question"; columns: k, text',
    );
  }));

test("Parquet is a dataset: it is shuffled, sharded, and has ids and line numbers", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    writeTexts(path, 2, (row) => `text ${row}`);
    const shuffled = await readRows(await sourceOf(path, { shuffle: 1, idField: "k" }));
    const ids = shuffled.map(({ id }) => Number(id));
    expect(ids).not.toEqual(ids.toSorted((a, b) => a - b));
    expect(new Set(ids).size).toBe(200);
    const shard = await readRows(
      await sourceOf(path, { shard: { index: 1, count: 2 }, columns: ["text"] }),
    );
    expect(shard[0]?.row).toEqual({ text: "text 1" });
    const ragged = await sourceOf(path, { filter: ({ k }) => k !== 3, idField: "none" });
    await expect(scanDataset(ragged, { trials: 1 })).rejects.toMatchObject({
      problems: expect.arrayContaining([expect.objectContaining({ line: 5 })]),
    });
  }));

test("Parquet that is damaged, empty or in another format is refused and not read in part", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    writeTexts(path, 2, (row) => `text ${row}`);
    const whole = Buffer.from(await Bun.file(path).arrayBuffer());
    for (const bytes of [
      whole.subarray(0, -20),
      whole.subarray(20),
      Buffer.from("PAR1"),
      Buffer.alloc(0),
    ]) {
      await writeFile(path, bytes);
      const scan = sourceOf(path).then((source) => scanDataset(source, { trials: 1 }));
      await expect(scan).rejects.toMatchObject({ code: "dataset_invalid" });
    }
    for (const bytes of [whole.subarray(0, -20), Buffer.from("PAR1"), Buffer.alloc(0)]) {
      await writeFile(path, bytes);
      await expect(Array.fromAsync(readParquet(path, null))).rejects.toThrow(
        "the file is not Parquet, damaged or cut short: ",
      );
    }
  }));

test("a run reads the split of a folder that its recipe names", () =>
  withFolder(async (folder) => {
    for (const name of ["data/train.parquet", "data/test.parquet"]) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      writeTexts(join(folder, name), 1, (row) => `${name} ${row}`);
    }
    await writeFile(
      join(folder, "a.ts"),
      "export default ({ row }) => ({ text: row.text, score: 1 });\n",
    );
    await writeFile(
      join(folder, "r.toml"),
      `name = "p"
dataset = { path = "data/train", columns = ["text"] }
roles.a.agent = "a.ts"
orchestrator = { pattern = "sequence", roles = ["a"] }
`,
    );
    const { stdout, stderr } = await matrix(["drive", "r.toml", "-q"], { cwd: folder });
    expect(stderr).toBe("");
    expect(stdout).toContain("expected 100 = ok 100");
    const { stdout: shown } = await matrix(["show", "runs/p", "7"], { cwd: folder });
    expect(shown).toContain("text: data/train.parquet 7");
    expect(shown).not.toContain("k:");
  }));

/** Bytes of a varint of Thrift for this whole number, which is not negative. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value * 2; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) | 128);
  }
}

/** The problem with a file of one column whose first page claims this size and number of values. */
async function problemOfPage(claim: { bytes?: number; values?: number }): Promise<string> {
  const written = new Uint8Array(
    parquetWriteBuffer({ columnData: [{ name: "v", data: ["a", "b"] }], codec: "UNCOMPRESSED" }),
  );
  // The header of the page has its size at this place, and its number of values at the other.
  const [bytesAt, valuesAt] = [7, 12];
  const file = [...written].flatMap((byte, at) => {
    if (at === bytesAt && claim.bytes !== undefined) return varint(claim.bytes);
    return at === valuesAt && claim.values !== undefined ? varint(claim.values) : [byte];
  });
  return withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    await writeFile(path, new Uint8Array(file));
    return Array.fromAsync(readParquet(path, null)).then(
      (batches) => JSON.stringify(batches),
      (error: Error) => error.message,
    );
  });
}

test("a page of Parquet that claims a size beyond reason is refused before it is made", async () => {
  const [bytes, values] = [512 * 2 ** 20, 64 * 2 ** 20];
  const hint = "the file is damaged, or has to be written with smaller pages";
  expect(await problemOfPage({})).toBe('[[{"v":"a"},{"v":"b"}]]');
  expect(await problemOfPage({ bytes: bytes + 1 })).toBe(
    `a page of the column "v" has more than 512 MiB; ${hint}`,
  );
  expect(await problemOfPage({ bytes })).not.toContain(hint);
  expect(await problemOfPage({ values: values + 1 })).toBe(
    `a page of the column "v" has more than 67108864 values; ${hint}`,
  );
  expect(await problemOfPage({ values })).not.toContain(hint);
});

test("a page whose Zstandard holds more than the page says is refused", async () => {
  const bomb = new Uint8Array(zstdCompressSync(Buffer.alloc(2 ** 20)));
  const columnData = [{ name: "v", data: ["a", "b"] }];
  await expect(
    rowsOf({ columnData, codec: "ZSTD", compressors: { ZSTD: () => bomb } }),
  ).rejects.toThrow("the Zstandard data is damaged, or has more than the 10 bytes");
});

/** A file of pyarrow: the list of 300 times the same text of 1 MiB, and the list of "ok". */
const REPEATED_TEXT =
  "UEFSMRUEFZSAgAEVhgFMFQQVABIAACi1L/2ASAoAEABsAAAoAAAQAHkBAPj/OdACAgAQeQIAEHkCABB5AgAQeQIAEH" +
  "kCABB5AgAQeVEAAHl5eXkCAAAAb2sVABUwFUIsFdoEFRAVBhUGHAAAACi1L/0gGMEAAAcAAAAD/sgEAQIAAwAAANoE" +
  "AwHYBAACARUEGUw1ABgGc2NoZW1hFQIANQIYAWwVAhUGTDwAAAA1BBgEbGlzdBUCABUMJQIYB2VsZW1lbnQlAEwcAA" +
  "AAFgQZHBkcJgAcFQwZNQAGEBk4AWwEbGlzdAdlbGVtZW50FQwW2gQWkIGAARaUAiayASYIKSwVBBUAFQIAFQAVEBUC" +
  "ADwWhICArAIZJgTWBBlGAAAA2gQAAAAWkIGAARYEJggWlAIAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2Lj" +
  "AuMRkcHAAAAMwAAABQQVIx";
/** A file of pyarrow, by gzip: 15 million empty texts in one page. */
const EMPTY_TEXTS =
  "H4sIABTnDWsC/wtwDDIUZRCdNGeOpWibrI5oQ/tyPiCfTZRNhoGBQWOr/t8GD872ycxTGBgCWIEiIHlGBkaGz/8tHZ" +
  "iYGAQYRvEoHsWjeBSP4lGMir0teBhEWSR1TBkk2IqTM1JzE0WZGER5VJkkGItVGXxANawYqEKVlJGUUWOQEeWRVGVj" +
  "kARKivKAxcWOAatlsV2yahyeMsBKmQGo20aMQZJNUg1cD4O0g1WAOGocQIUMGgoFiUWFpakluskFBbqJRUX55QplqU" +
  "XFmfl5CkZmegZ6hpIyIGunAXEAsOoHAD6h9fP/BwAA";

const batchesOfBytes = (bytes: Uint8Array) =>
  withFolder(async (folder) => {
    const path = join(folder, "d.parquet");
    await writeFile(path, bytes);
    return Array.fromAsync(readParquet(path, null));
  });

test("a row that names one entry of a dictionary many times is too large, and the next one is read", async () => {
  expect((await batchesOfBytes(Buffer.from(REPEATED_TEXT, "base64"))).flat()).toEqual([
    "the row has more than the 256 MiB that a row may have",
    { l: ["ok"] },
  ]);
});

test("a page that takes much more memory than bytes is refused before it is decoded, with its column", async () => {
  await expect(batchesOfBytes(Bun.gunzipSync(Buffer.from(EMPTY_TEXTS, "base64")))).rejects.toThrow(
    'with a page of the column "s", the values that are read at once take more than 2048 MiB of ' +
      "memory; the file is damaged, or has to be written with smaller pages and dictionaries",
  );
});

test("large rows that name one value come in batches of their own", async () => {
  const large = "z".repeat(3 * 2 ** 20);
  const file = parquetWriteBuffer({ columnData: [{ name: "v", data: Array(5).fill(large) }] });
  const batches = await batchesOfBytes(new Uint8Array(file));
  expect(batches.map(({ length }) => length)).toEqual([2, 2, 1]);
});
