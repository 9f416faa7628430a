// Items of files: each format gives the same rows, and everything that is wrong is told with its
// place.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findFiles } from "../../src/dataset/files.ts";
import { type Item, readItems } from "../../src/dataset/read.ts";
import { DEPTH_MAX, isTooDeep } from "../../src/task/depth.ts";
import { withFolder } from "../parts/folder.ts";

/** The batches of items of a file with this content. */
async function batchesOf(
  name: string,
  content: string | Uint8Array,
  columns: readonly string[] | null = null,
): Promise<Item[][]> {
  return withFolder(async (folder) => {
    await writeFile(join(folder, name), content);
    const batches: Item[][] = [];
    for await (const batch of readItems(await findFiles([join(folder, name)], undefined), columns))
      batches.push(batch.map((item) => ({ ...item, file: item.file.slice(folder.length + 1) })));
    return batches;
  });
}

async function itemsOf(
  name: string,
  content: string | Uint8Array,
  columns: readonly string[] | null = null,
): Promise<Item[]> {
  return (await batchesOf(name, content, columns)).flat();
}

function problemsOf(items: readonly Item[]): string[] {
  return items
    .filter(({ problem }) => problem !== null)
    .map(({ line, problem }) => `${line ?? "-"}: ${problem}`);
}

const ROWS = Array.from({ length: 600 }, (_, i) => ({
  k: `row ${i}`,
  text: `ж😀\u2028"${"x".repeat(i % 50)}`,
}));
const JSONL = ROWS.map((row) => JSON.stringify(row)).join("\r\n");
const CSV_ROWS = ROWS.map(({ k, text }) => `${k},"${text.replaceAll('"', '""')}"`);
const CSV = `k,text\n${CSV_ROWS.join("\n")}`;

test.each<[name: string, content: string | Uint8Array]>([
  ["d.jsonl", `\ufeff${JSONL}\n`],
  ["d.jsonl.gz", Bun.gzipSync(JSONL)],
  ["d.jsonl.zst", Bun.zstdCompressSync(JSONL)],
  ["d.json", JSON.stringify(ROWS, null, 1)],
  ["d.csv", CSV],
  ["bom.csv", `\ufeff${CSV}\n\n`],
  ["d.csv.gz", Bun.gzipSync(CSV)],
])("%s gives every row, whole and in order", async (name, content) => {
  const items = await itemsOf(name, content);
  expect(items.map(({ row }) => row)).toEqual(ROWS);
  expect(problemsOf(items)).toEqual([]);
});

test("an item of JSONL has its line, its text, and its place in the file", async () => {
  expect(await itemsOf("d.jsonl", '{"a":"ä"}\n\n  \n{"b": 2}')).toEqual([
    {
      file: "d.jsonl",
      line: 1,
      row: { a: "ä" },
      problem: null,
      text: '{"a":"ä"}',
      offset: 0,
      bytes: 10,
    },
    {
      file: "d.jsonl",
      line: 4,
      row: { b: 2 },
      problem: null,
      text: '{"b": 2}',
      offset: 15,
      bytes: 8,
    },
  ]);
});

test("an item of CSV or of a JSON array has its row as JSON text, and its line", async () => {
  expect(await itemsOf("d.csv", "a,b\n1,x\n")).toEqual([
    {
      file: "d.csv",
      line: 2,
      row: { a: "1", b: "x" },
      problem: null,
      text: '{"a":"1","b":"x"}',
      offset: 0,
      bytes: 0,
    },
  ]);
  expect(await itemsOf("d.json", '  [ {"a" : 1} ]\n')).toEqual([
    {
      file: "d.json",
      line: 1,
      row: { a: 1 },
      problem: null,
      text: '{"a":1}',
      offset: 0,
      bytes: 0,
    },
  ]);
});

test("CSV comes in batches of 256 rows", async () => {
  const batches = await batchesOf("d.csv", CSV);
  expect(batches.map(({ length }) => length)).toEqual([256, 256, 88]);
  expect((await batchesOf("d.csv", "a\n1\n")).map(({ length }) => length)).toEqual([1]);
});

test("an empty file has no items", async () => {
  for (const name of ["d.jsonl", "d.json", "d.csv"]) expect(await itemsOf(name, "")).toEqual([]);
  expect(await itemsOf("d.json", "[]")).toEqual([]);
});

test("a broken line of JSONL is told, and the lines around it are read", async () => {
  const items = await itemsOf("d.jsonl", '{"a":1}\n{"a":\n[4]\n"text"\n{"a":2}\n');
  expect(items.map(({ row }) => row)).toEqual([{ a: 1 }, null, null, null, { a: 2 }]);
  const [syntax, list, text] = problemsOf(items);
  expect(syntax).toStartWith("2: the line is not JSON: ");
  expect([list, text]).toEqual([
    "3: a row must be an object, found [4]",
    '4: a row must be an object, found "text"',
  ]);
  expect(items[1]).toMatchObject({ text: "", offset: 8, bytes: 5 });
});

test("a byte order mark is allowed on the first line alone", async () => {
  const [, second] = problemsOf(await itemsOf("d.jsonl", '\ufeff{}\n\ufeff{"a"\n\ufeff{}\n'));
  expect(second).toStartWith("3: the line is not JSON");
});

test("a line that is not UTF-8 is told", async () => {
  const bytes = Buffer.concat([Buffer.from('{"a":1}\n"'), Buffer.from([0xff, 0x22, 0x0a])]);
  expect(problemsOf(await itemsOf("d.jsonl", bytes))).toEqual([
    "2: the line is not UTF-8 at position 9 of the file",
  ]);
});

test.each<[length: number, shown: string]>([
  [58, `"${"x".repeat(58)}"`],
  [59, `"${"x".repeat(59)}…`],
])(
  "a value of %p letters in place of a row is shown up to 60 characters",
  async (length, shown) => {
    const items = await itemsOf("d.jsonl", JSON.stringify("x".repeat(length)));
    expect(problemsOf(items)).toEqual([`1: a row must be an object, found ${shown}`]);
  },
);

test("a JSON file that is not an array of rows is refused with the other format", async () => {
  const [problem] = problemsOf(await itemsOf("d.json", '{"q": 1}\n{"q": 2}'));
  expect(problem).toBe(
    '1: the file is not a JSON array of rows (for one row a line, set dataset.format = "jsonl")',
  );
});

test("a JSON array that is cut short gives the rows before, and the problem", async () => {
  const items = await itemsOf("d.json", '[{"q": 1}, {"q"');
  expect(items[0]?.row).toEqual({ q: 1 });
  expect(problemsOf(items)).toEqual(["1: the JSON array is cut short"]);
});

test("a JSON array tells each value that is not a row", async () => {
  expect(problemsOf(await itemsOf("d.json", '[1, {"a": [2]}, null]'))).toEqual([
    "1: a row must be an object, found 1",
    "1: a row must be an object, found null",
  ]);
});

test("JSON that is broken within gives its problem", async () => {
  const items = await itemsOf("d.json", '[{"q": 1},\n{q},,\n{"q": 2}]');
  const [syntax, missing] = problemsOf(items);
  expect(syntax).toStartWith("2: the row is not JSON: ");
  expect(missing).toBe("2: a row is missing beside a comma");
  expect(items.map(({ row }) => row)).toEqual([{ q: 1 }, null, null, { q: 2 }]);
});

test("a row with a key twice in one object is a problem of its line, in JSONL and in an array", async () => {
  const rows = ['{"q": 1}', '{"q": [{"a": 1, "a": 2}]}', '{"q": 3}'];
  expect(problemsOf(await itemsOf("d.jsonl", rows.join("\n")))).toEqual([
    '2: the line has the key "a" twice in one object',
  ]);
  expect(problemsOf(await itemsOf("d.json", `[${rows.join(",\n")}]`))).toEqual([
    '2: the row has the key "a" twice in one object',
  ]);
});

test.each<[bytes: readonly number[], problem: string]>([
  [[0xff, 0xfe, 0x61, 0], "it begins with the byte order mark of UTF-16LE"],
  [[0xfe, 0xff, 0, 0x61], "it begins with the byte order mark of UTF-16BE"],
  [[0xff, 0x61], "byte 0xff at position 0 of the file"],
])("a file that begins with %p is not read as UTF-8", async (bytes, problem) => {
  const [found] = problemsOf(await itemsOf("d.csv", Uint8Array.from(bytes)));
  expect(problemsOf(await itemsOf("d.csv", "\ufeffa\n1\n"))).toEqual([]);
  expect(found).toStartWith(`1: the file is not UTF-8: ${problem}; set dataset.csv.encoding`);
});

test("a JSON array that is not UTF-8 gives its problem", async () => {
  const bytes = Buffer.concat([Buffer.from('[{"a":"'), Buffer.from([0xff]), Buffer.from('"}]')]);
  expect(problemsOf(await itemsOf("d.json", bytes))).toHaveLength(1);
});

test("a ragged row of CSV is a problem with its line, and the rows after it are read", async () => {
  const items = await itemsOf("d.csv", "a,b\n1,2\n1,2,3\n4\n5,6\n");
  expect(problemsOf(items)).toEqual([
    "3: the row has 3 fields and the header 2",
    "4: the row has 1 field and the header 2",
  ]);
  expect(items.map(({ row }) => row)).toEqual([{ a: "1", b: "2" }, null, null, { a: "5", b: "6" }]);
});

test("a CSV header that names a column twice is refused", async () => {
  const [problem] = problemsOf(await itemsOf("d.csv", "a,b,a\n1,2,3\n"));
  expect(problem).toEndWith('the header names the column "a" twice');
});

test.each<[name: string, content: Uint8Array]>([
  ["d.jsonl.gz", Bun.gzipSync(JSONL).slice(0, -9)],
  ["d.jsonl.gz", Buffer.from("no gzip")],
  ["d.jsonl.zst", Bun.zstdCompressSync(JSONL).slice(0, -1)],
  ["d.jsonl.gz", Buffer.alloc(0)],
  ["d.jsonl.zst", Buffer.alloc(0)],
  ["d.jsonl.bz2", Buffer.alloc(0)],
  ["d.jsonl.xz", Buffer.alloc(0)],
])("%s that is damaged says so as its last item", async (name, content) => {
  const items = await itemsOf(name, content);
  const ending = name.slice("d.jsonl".length);
  expect(items.at(-1)?.problem).toStartWith(`the ${ending} file is damaged or cut short: `);
  expect(items.at(-1)?.line).toBeUndefined();
});

test("a file that is gone gives its problem, and the next file is read", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "b.jsonl"), '{"b":1}\n');
    const file = (name: string) =>
      ({ path: join(folder, name), format: "jsonl", compression: null }) as const;
    const items: Item[] = [];
    for await (const batch of readItems([file("a.jsonl"), file("b.jsonl")], null))
      items.push(...batch);
    expect(items.map(({ row }) => row)).toEqual([null, { b: 1 }]);
    expect(items[0]?.problem).toContain("ENOENT");
  }));

test("chosen columns are kept in their order, and their JSON is the text", async () => {
  const items = await itemsOf("d.jsonl", '{"a":1,"b":2,"c":null}\n{"c":6,"b":5,"a":4}\n', [
    "c",
    "a",
  ]);
  expect(items.map(({ row, text }) => [JSON.stringify(row), text])).toEqual([
    ['{"c":null,"a":1}', '{"c":null,"a":1}'],
    ['{"c":6,"a":4}', '{"c":6,"a":4}'],
  ]);
});

test("a row without a chosen column is told with the fields that it has", async () => {
  const items = await itemsOf("d.jsonl", '{"a":1,"b":2}\n[]\n', ["a", "c"]);
  expect(problemsOf(items)).toEqual([
    '1: the row has no column "c"; fields: a, b',
    "2: a row must be an object, found []",
  ]);
  expect(items[0]).toMatchObject({ row: null, text: "", offset: 0, bytes: 0 });
});

test("a JSON array of several chunks gives each row once", async () => {
  const rows = Array.from({ length: 5000 }, (_, n) => ({ n, text: "x".repeat(100) }));
  const batches = await batchesOf("d.json", JSON.stringify(rows));
  expect(batches.length).toBeGreaterThan(1);
  expect(batches.flat().map(({ row }) => row)).toEqual(rows);
});

test("a row that is nested too deeply is read with one level too many, in every format", async () => {
  const deep = `{"id":"x","d":${"[".repeat(50_000)}${"]".repeat(50_000)}}`;
  for (const [name, content] of [
    ["d.jsonl", `{"id":"a"}\n${deep}\n`],
    ["d.json", `[{"id":"a"},${deep}]`],
  ] as const) {
    const [first, second] = await itemsOf(name, content);
    expect(first?.row).toEqual({ id: "a" });
    expect(second).toMatchObject({ problem: null, row: { id: "x" } });
    expect([isTooDeep(second?.row), isTooDeep(second?.row, DEPTH_MAX + 1)]).toEqual([true, false]);
    const picked = await itemsOf(name, content.replaceAll('{"id":"a"}', '{"id":"a","d":1}'), ["d"]);
    expect(Object.keys(picked[1]?.row ?? {})).toEqual(["d"]);
  }
  const lists = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
  expect(problemsOf(await itemsOf("d.jsonl", lists))[0]).toStartWith(
    "1: a row must be an object, found [[[",
  );
});

test.each([
  ["d.jsonl", '{"id":1234567890123456789,"x":0.1000000000000000055,"y":[1e400,1.5]}\n'],
  ["d.json", '[{"id":1234567890123456789,"x":0.1000000000000000055,"y":[1e400,1.5]}]'],
])("numbers that a double cannot hold stay exact in %s", async (name, content) => {
  const [item] = await itemsOf(name, content);
  expect(item?.row?.["id"]).toBe(1234567890123456789n);
  expect(JSON.stringify(item?.row)).toBe(
    '{"id":1234567890123456789,"x":0.1000000000000000055,"y":[1e400,1.5]}',
  );
  const [picked] = await itemsOf(name, content, ["x", "id"]);
  expect(picked?.text).toBe('{"x":0.1000000000000000055,"id":1234567890123456789}');
});
