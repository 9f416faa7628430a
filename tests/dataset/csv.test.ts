// CSV in its variants: line ends, delimiters, quotes, encodings and headers.

import { expect, test } from "bun:test";
import {
  CSV_DEFAULTS,
  type CsvRow,
  type CsvSettings,
  type RowLimits,
  readCsvRows,
} from "../../src/dataset/csv.ts";

/** Rows with their lines, and the error at which reading ends. The bytes come one at a time. */
async function read(
  content: string | Uint8Array,
  settings: Partial<CsvSettings> = {},
  limits?: RowLimits,
): Promise<{ readonly rows: CsvRow[]; readonly error: string | null }> {
  const bytes = Buffer.from(content as string);
  const rows: CsvRow[] = [];
  const open = async function* () {
    for (const byte of bytes) yield Buffer.from([byte]);
  };
  try {
    const { delimiter = ",", ...rest } = settings;
    for await (const batch of readCsvRows(open, delimiter, { ...CSV_DEFAULTS, ...rest }, limits))
      rows.push(...batch);
  } catch (thrown) {
    const { line, message } = thrown as { line?: number; message: string };
    return { rows, error: `${line}: ${message}` };
  }
  return { rows, error: null };
}

const valuesOf = ({ rows }: { readonly rows: readonly CsvRow[] }) =>
  rows.map(({ row }) => (typeof row === "string" ? row : Object.values(row)));

test("lines end at every kind of line end within one file", async () => {
  const { rows, error } = await read("q\nfirst\r\nsecond\rthird\nfourth");
  expect(error).toBeNull();
  expect(rows).toEqual([
    { line: 2, row: { q: "first" } },
    { line: 3, row: { q: "second" } },
    { line: 4, row: { q: "third" } },
    { line: 5, row: { q: "fourth" } },
  ]);
});

test("line ends within quotes belong to the field, and blank lines are no rows", async () => {
  const { rows } = await read('a,b\r\n\r\n"x\r\ny","1\n2\r3"\n\n\r\rlast,""\n');
  expect(rows.map(({ row }) => row)).toEqual([
    { a: "x\r\ny", b: "1\n2\r3" },
    { a: "last", b: "" },
  ]);
});

test("quotes are doubled within quotes, and commas and spaces stay", async () => {
  expect(valuesOf(await read('a,b\n"say ""hi"", you", x \n'))).toEqual([['say "hi", you', " x "]]);
});

test("a column may have any name", async () => {
  const { rows } = await read("__proto__,,10,2\na,b,c,d\n");
  expect(JSON.stringify(rows[0]?.row)).toBe('{"2":"d","10":"c","__proto__":"a","":"b"}');
});

test.each<[name: string, content: string, settings: Partial<CsvSettings>, values: unknown]>([
  ["a semicolon", "a;b\n1,5;2\n", { delimiter: ";" }, [["1,5", "2"]]],
  ["several characters", "a||b\n1|5||2\n", { delimiter: "||" }, [["1|5", "2"]]],
  ["another quote", "a,b\n'it''s, \"x\"',2\n", { quote: "'" }, [['it\'s, "x"', "2"]]],
  ["no quotes", 'a,b\n5" disk,"x\n', { quote: "" }, [['5" disk', '"x']]],
])("CSV is read with %s", async (_, content, settings, values) => {
  const found = await read(content, settings);
  expect(found.error).toBeNull();
  expect(valuesOf(found)).toEqual(values as never);
});

test("a list of names stands for a header, and the first line is a row", async () => {
  const { rows } = await read("1,2\n3,4\n", { header: ["x", "y"] });
  expect(rows).toEqual([
    { line: 1, row: { x: "1", y: "2" } },
    { line: 2, row: { x: "3", y: "4" } },
  ]);
  expect((await read("1,2\n", { header: ["x"] })).rows).toEqual([
    { line: 1, row: "the row has 2 fields and the header 1" },
  ]);
});

test("without a header, columns are named by their number", async () => {
  expect((await read("1,2\n3,4\n", { header: false })).rows.map(({ row }) => row)).toEqual([
    { 0: "1", 1: "2" },
    { 0: "3", 1: "4" },
  ]);
});

test.each([
  ["a,b,a\n1,2,3\n", {}, '1: the header names the column "a" twice'],
  ["1,2\n", { header: ["x", "x"] }, '1: the header names the column "x" twice'],
  ['a\nx\n5" disk\n', {}, "3: a quote stands within a field that does not begin with one; put"],
  ['a\n"5"x\n', {}, "2: text follows a closing quote; double the quotes within a field"],
  ['a\nx\n"open\n\n', {}, "4: a quote that is opened before is never closed"],
])("CSV that is malformed names its line: %j", async (content, settings, message) => {
  expect((await read(content, settings)).error).toStartWith(message);
});

test.each([
  ["latin1", [0x4d, 0xfc], "Mü"],
  ["iso-8859-15", [0xa4], "€"],
  ["shift_jis", [0x82, 0xa0], "あ"],
  ["gb18030", [0xc4, 0xe3], "你"],
  ["utf-16le", [0x41, 0x00, 0x3d, 0xd8, 0x00, 0xde], "A😀"],
  ["utf-8", [0xc3, 0xbc], "ü"],
])("CSV is read in the encoding %s", async (encoding, bytes, text) => {
  const wide = encoding === "utf-16le";
  const ascii = (part: string) => Buffer.from(part, wide ? "utf16le" : "latin1");
  const content = Buffer.concat([ascii("q\n"), Buffer.from(bytes), ascii("\r\n")]);
  expect(valuesOf(await read(content, { encoding }))).toEqual([[text]]);
});

test("a byte order mark is no part of the first name", async () => {
  expect((await read("\ufeffq\nx\n")).rows[0]?.row).toEqual({ q: "x" });
  const wide = Buffer.from("\ufeffq\nx\n", "utf16le");
  expect((await read(wide, { encoding: "utf-16le" })).rows[0]?.row).toEqual({ q: "x" });
});

test.each<[bytes: number[], encoding: string, place: string]>([
  [[0x71, 0x0a, 0x4d, 0xfc, 0x6c], "utf-8", "2: the file is not UTF-8: byte 0xfc at position 3"],
  [
    [0x71, 0x0d, 0x0a, 0x0d, 0xc3, 0x28],
    "utf-8",
    "3: the file is not UTF-8: byte 0xc3 at position 4",
  ],
  [[0x0a, 0xff], "utf-8", "2: the file is not UTF-8: byte 0xff at position 1"],
  [[0xff, 0xfe, 0x71, 0x00], "utf-8", "1: the file is not UTF-8: byte 0xff at position 0"],
  [[0xef, 0xbb, 0xbf, 0x0a, 0x80], "utf-8", "2: the file is not UTF-8: byte 0x80 at position 4"],
  [
    [0x71, 0x0a, 0xe4, 0xbd],
    "utf-8",
    "2: the file is not UTF-8: it ends within a character at position 4",
  ],
  [[0x71, 0x0a, 0x82, 0x0a], "shift_jis", "2: the file is not SHIFT_JIS: byte 0x82 at position 2"],
])(
  "bytes that are not of the encoding are refused with their place: %p",
  async (bytes, encoding, place) => {
    const { error } = await read(Uint8Array.from(bytes), { encoding });
    expect(error).toStartWith(place);
    expect(error).toEndWith(
      'of the file; set dataset.csv.encoding to the one that it has, such as "latin1" or "utf-16le"',
    );
  },
);

test("the place of a foreign byte is found far into a file and across chunks", async () => {
  const lines = "ж\r\n".repeat(100_000);
  const bytes = Buffer.concat([Buffer.from(`q\n${lines}`), Buffer.from([0xff])]);
  const open = async function* () {
    for (let at = 0; at < bytes.length; at += 65_521) yield bytes.subarray(at, at + 65_521);
  };
  const reading = Array.fromAsync(readCsvRows(open, ",", CSV_DEFAULTS));
  await expect(reading).rejects.toMatchObject({
    line: 100_002,
    message: expect.stringContaining(`byte 0xff at position ${bytes.length - 1} `),
  });
});

const LIMITS: RowLimits = { characters: 8, fields: 3 };

test("a row may have as many characters as the limit says", async () => {
  const { rows, error } = await read("a,b\nabcd,efgh\n1,2", {}, LIMITS);
  expect(rows.map(({ row }) => row)).toEqual([
    { a: "abcd", b: "efgh" },
    { a: "1", b: "2" },
  ]);
  expect(error).toBeNull();
});

test.each(["abcd,efghij\n", 'abcd,"efghij"\n', `"${"x\n".repeat(900)}`])(
  "a row with more characters ends the file with its place: %p",
  async (row) => {
    const { rows, error } = await read(`a,b\n1,2\n${row}`, {}, LIMITS);
    expect(rows).toEqual([]);
    expect(error).toMatch(
      /^\d+: the row has more than the .* MiB that a row may have; check dataset.csv.delimiter/,
    );
  },
);

test("a row with too many fields ends the file with its place before it has ended", async () => {
  const { error } = await read(`a,b,c,d\n1,2,3,4\n1${",".repeat(900)}`, {}, LIMITS);
  expect(error).toBe(
    "3: the row has more than 3 fields; check dataset.csv.delimiter and dataset.csv.quote, " +
      "and the line ends of the file",
  );
});
