import { expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Columns, TableRow } from "../../../src/export/contract.ts";
import { openJsonLines } from "../../../src/export/files/json-lines.ts";
import { withFolder } from "../../parts/folder.ts";
import { linesOf } from "../made.ts";

const COLUMNS: Columns = { messages: { list: "json" }, n: "int64" };
const MIB = 1024 * 1024;
const PLAIN = [{ role: "user" }, { role: "assistant" }];
const CALLING = [{ role: "user" }, { role: "assistant", tool_calls: [] }];

/** The rows of a file after these were written. */
async function rowsAfter(rows: Iterable<TableRow>, columns = COLUMNS): Promise<TableRow[]> {
  return withFolder(async (folder) => {
    const path = join(folder, "out.jsonl");
    const file = await openJsonLines(path, columns);
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

test("each column of lists moves its own first row, in the order of the rows", async () => {
  const columns: Columns = { messages: { list: "json" }, others: { list: "json" }, plain: "json" };
  const first = [...filling(4.5 * MIB)].map(
    (row): TableRow => ({ ...row, others: [1], plain: { a: 1 } }),
  );
  const rows = [
    ...first,
    { n: 100, messages: PLAIN, others: [{ a: 1 }], plain: [] },
    { n: 101, messages: PLAIN, others: [1], plain: [] },
    { n: 102, messages: CALLING, others: [1], plain: [] },
  ];
  const numbers = (await rowsAfter(rows, columns)).map(({ n }) => n);
  expect(numbers).toEqual([100, 102, ...first.map(({ n }) => n ?? null), 101]);
});

test("a file that exists is not opened again", () =>
  withFolder(async (folder) => {
    const path = join(folder, "out.jsonl");
    await (await openJsonLines(path, COLUMNS)).close();
    await expect(openJsonLines(path, COLUMNS)).rejects.toMatchObject({ code: "storage_failed" });
    const nowhere = join(folder, "no/out.jsonl");
    await expect(openJsonLines(nowhere, COLUMNS)).rejects.toMatchObject({
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
