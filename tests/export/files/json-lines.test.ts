import { expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TableRow } from "../../../src/export/contract.ts";
import { openJsonLines } from "../../../src/export/files/json-lines.ts";
import { ExactNumber } from "../../../src/task/exact.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { withFolder } from "../../parts/folder.ts";
import { linesOf } from "../made.ts";

const MIB = 1024 * 1024;
const PLAIN = [{ role: "user" }, { role: "assistant" }];
const CALLING = [{ role: "user" }, { role: "assistant", tool_calls: [] }];

/** The rows of a file after these were written. */
async function rowsAfter(rows: Iterable<TableRow>): Promise<TableRow[]> {
  return withFolder(async (folder) => {
    const path = join(folder, "out.jsonl");
    const file = await openJsonLines(path);
    for (const row of rows) await file.write(row);
    await file.close();
    expect(await readdir(folder)).toEqual(["out.jsonl"]);
    return linesOf(await readFile(path, "utf8"));
  });
}

/** Rows of one shape that take slightly more than the given number of bytes. */
function* filling(bytes: number, messages: TableRow["messages"] = PLAIN): Generator<TableRow> {
  const text = "ä".repeat(MIB / 4);
  for (let n = 0; n * text.length * 2 < bytes; n++) yield { n, messages: messages ?? null, text };
}

test("rows are lines of JSON, in the order in which they were written", async () => {
  const rows = [
    { n: 1, messages: PLAIN },
    { n: 2, messages: CALLING },
    { n: 3 },
    { n: 4, x: "ä\n" },
  ];
  expect(await rowsAfter(rows)).toEqual(rows);
  expect(await rowsAfter([])).toEqual([]);
});

test("the first row with objects of another shape moves to the front of a large file", async () => {
  const first = [...filling(4.5 * MIB)];
  const rows = [
    ...first,
    { n: 100, messages: CALLING },
    { n: 101, messages: PLAIN },
    { n: 102, messages: CALLING },
  ];
  const found = await rowsAfter(rows);
  expect(found.map(({ n }) => n)).toEqual([100, ...first.map(({ n }) => n ?? null), 101, 102]);
  expect(found[1]).toEqual(first[0] as TableRow);
});

test("a row of another shape near the front stays where it is", async () => {
  const first = [...filling(3.5 * MIB)];
  const rows = [...first, { n: 100, messages: CALLING }, ...filling(2 * MIB, CALLING)];
  const numbers = (await rowsAfter(rows)).map(({ n }) => n);
  expect(numbers).toEqual(rows.map(({ n }) => n ?? null));
});

test("a large file whose objects all have one shape keeps its order", async () => {
  const rows = [...filling(5 * MIB), { n: 100, messages: PLAIN }, { n: 101, messages: [] }];
  expect((await rowsAfter(rows)).map(({ n }) => n)).toEqual(rows.map(({ n }) => n ?? null));
});

const CALLED = (value: JsonObject) => [{ role: "assistant", call: { arguments: value } }];

test.each<[what: string, before: Json, after: Json]>([
  ["an object with other keys", CALLED({ a: "x" }), CALLED({ b: "x" })],
  ["an object with more keys", CALLED({ a: "x" }), CALLED({ a: "x", b: 1 })],
  ["a list in place of text", [{ content: "x" }], [{ content: [{ type: "text" }] }]],
  ["text in place of a number", CALLED({ a: 1 }), CALLED({ a: "1" })],
  ["a fraction in place of a whole number", CALLED({ a: 1 }), CALLED({ a: 1.5 })],
  ["a value in place of null", CALLED({ a: null }), CALLED({ a: true })],
  ["an item in place of an empty list", [{ calls: [] }], [{ calls: [{ id: "1" }] }]],
  ["text in place of null in a column", null, "x"],
])("the first row with %s moves to the front of a large file", async (_, before, after) => {
  const first = [...filling(4.5 * MIB, before)];
  const rows = [...first, { n: 100, messages: after }, { n: 101, messages: after }];
  const numbers = (await rowsAfter(rows)).map(({ n }) => n);
  expect(numbers).toEqual([100, ...first.map(({ n }) => n ?? null), 101]);
});

test.each<[what: string, before: Json, after: Json]>([
  ["the same keys in another order", CALLED({ a: 1, b: 2 }), CALLED({ b: 2, a: 1 })],
  ["null in place of a value", CALLED({ a: 1 }), CALLED({ a: null })],
  ["an empty list", [{ calls: [1] }], [{ calls: [] }]],
  ["other values", CALLED({ a: 1, b: "x" }), CALLED({ a: 2, b: "y" })],
])("a row with %s stays where it is", async (_, before, after) => {
  const first = [...filling(4.5 * MIB, before)];
  const rows = [...first, { n: 100, messages: after }];
  const numbers = (await rowsAfter(rows)).map(({ n }) => n);
  expect(numbers).toEqual(rows.map(({ n }) => n ?? null));
});

test("a place of several kinds moves no more rows, and another place moves its own", async () => {
  const first = [...filling(4.5 * MIB, CALLED({ a: 1 }))];
  const rows = [
    ...first,
    { n: 100, messages: CALLED({ b: { c: 1 } }) },
    { n: 101, messages: CALLED({ b: { d: 1 } }) },
    { n: 102, messages: [{ role: "user" }] },
    { n: 103, messages: [{ content: "x" }] },
    { n: 104, messages: CALLED({ a: 1 }), late: "a new column" },
  ];
  const numbers = (await rowsAfter(rows)).map(({ n }) => n);
  expect(numbers).toEqual([100, 102, 104, ...first.map(({ n }) => n ?? null), 101, 103]);
});

test("numbers that a double cannot hold are kept, and are whole or fractions like others", async () => {
  const whole = CALLED({ a: 2n ** 70n } as unknown as JsonObject);
  const fraction = CALLED({ a: new ExactNumber("0.10") } as unknown as JsonObject);
  await withFolder(async (folder) => {
    const path = join(folder, "out.jsonl");
    const file = await openJsonLines(path);
    for (const row of [...filling(4.5 * MIB, CALLED({ a: 0.5 }))]) await file.write(row);
    await file.write({ n: 100, messages: fraction });
    await file.write({ n: 101, messages: whole });
    await file.close();
    const lines = (await readFile(path, "utf8")).split("\n");
    expect(lines[0]).toContain('{"a":1180591620717411303424}');
    expect(lines.at(-2)).toContain('{"a":0.10}');
  });
});

test("a file that exists is not opened again", () =>
  withFolder(async (folder) => {
    const path = join(folder, "out.jsonl");
    await (await openJsonLines(path)).close();
    await expect(openJsonLines(path)).rejects.toMatchObject({ code: "storage_failed" });
    const nowhere = join(folder, "no/out.jsonl");
    await expect(openJsonLines(nowhere)).rejects.toMatchObject({
      code: "storage_failed",
      message: expect.stringContaining(`cannot write ${nowhere}`),
    });
  }));

test.each([
  [0, [0, 1]],
  [1, [1, 0]],
])(
  "a row of another shape %p bytes behind the first 4 MiB gives the order %j",
  async (more, order) => {
    const row = { n: 0, messages: PLAIN, text: "" };
    const text = "x".repeat(4 * MIB + more - (JSON.stringify(row).length + 1));
    const found = await rowsAfter([
      { ...row, text },
      { n: 1, messages: CALLING },
    ]);
    expect(found.map(({ n }) => n)).toEqual(order);
  },
);
