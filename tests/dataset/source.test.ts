import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type DatasetSource,
  type Drawn,
  datasetGone,
  drawAll,
  isInShard,
  problemAt,
} from "../../src/dataset/source.ts";
import { withFolder } from "../parts/folder.ts";
import { readRows, sourceOf } from "./rows.ts";

async function drawnOf(text: string, more: Partial<DatasetSource> = {}): Promise<Drawn[]> {
  return withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), text);
    const drawn: Drawn[] = [];
    for await (const batch of drawAll(await sourceOf(join(folder, "d.jsonl"), more))) {
      expect(batch.length).toBeGreaterThan(0);
      drawn.push(...batch);
    }
    return drawn;
  });
}

const TEN = Array.from({ length: 10 }, (_, n) => `{"n":${n},"k":"k${n}"}`).join("\n");

test("rows without an id field are named by their number", async () => {
  const rows = (await drawnOf('{"a":1}\n{"a":2}\n')).map(({ row }) => row);
  expect(rows).toEqual([
    { id: "0", number: 0, row: { a: 1 } },
    { id: "1", number: 1, row: { a: 2 } },
  ]);
});

test.each<[id: string, found: string | null]>([
  ['"x"', "x"],
  ["7", "7"],
  ["0", "0"],
  ["1.5", "1.5"],
  ['""', null],
  ["null", null],
  ["true", null],
  ["[1]", null],
])("an id field with %s names the row %p", async (id, found) => {
  const [drawn] = await drawnOf(`{"k":${id}}`, { idField: "k" });
  expect(drawn?.row?.id ?? null).toBe(found);
  if (found !== null) expect(drawn?.problem).toBeNull();
  else
    expect(drawn?.problem).toMatchObject({
      line: 1,
      message: `the row has no id in "k", which must be text or a number; found ${id}`,
    });
});

test("a row without the id field is told with the fields that it has", async () => {
  const [drawn] = await drawnOf('{"a":1,"b":2}', { idField: "k" });
  expect(drawn?.problem?.message).toEndWith("text or a number; fields: a, b");
});

test("a filter drops rows, and the others keep their numbers", async () => {
  const drawn = await drawnOf(TEN, { filter: ({ n }) => Number(n) % 4 === 3 });
  expect(drawn.map(({ row }) => row?.number)).toEqual([3, 7]);
});

test("limit and shard are not applied to the rows that are drawn", async () => {
  const drawn = await drawnOf(TEN, { limit: 2, shard: { index: 0, count: 2 } });
  expect(drawn).toHaveLength(10);
});

test("a filter that fails is a problem of its row", async () => {
  const drawn = await drawnOf(TEN, {
    filter: ({ n }) => {
      if (n === 2) throw new Error("no such key");
      return true;
    },
  });
  expect(drawn).toHaveLength(10);
  expect(drawn[2]).toMatchObject({
    row: null,
    problem: { line: 3, message: "dataset.filter: no such key" },
  });
});

test("a broken line is a problem, counts as a row, and is not filtered", async () => {
  const drawn = await drawnOf('{"a":1}\n{\n{"a":3}\n', { filter: ({ a }) => a === 3 });
  expect(drawn.map(({ row }) => row?.number ?? null)).toEqual([null, 2]);
  expect(drawn[0]?.problem?.message).toStartWith("the line is not JSON");
});

test("a shard has the rows whose number leaves its index", () => {
  const own = (index: number) =>
    [0, 1, 2, 3, 4, 5].filter((number) =>
      isInShard({ shard: { index, count: 3 } } as DatasetSource, number),
    );
  expect([own(0), own(1), own(2)]).toEqual([
    [0, 3],
    [1, 4],
    [2, 5],
  ]);
  expect(isInShard({ shard: null } as DatasetSource, 5)).toBe(true);
});

test("a problem has a line only where its file has lines", () => {
  expect(problemAt({ file: "f", line: 2 }, "m")).toEqual({ file: "f", line: 2, message: "m" });
  expect(problemAt({ file: "f", line: undefined }, "m")).toEqual({ file: "f", message: "m" });
});

test("a dataset that changed is an error with its cause and what to do", () => {
  const cause = new Error("inner");
  expect(datasetGone("it shrank", cause)).toMatchObject({
    code: "dataset_gone",
    message: "the dataset has changed since the run began: it shrank",
    hint: expect.stringContaining("run the same command again"),
    cause,
  });
  expect(datasetGone("it shrank").cause).toBeUndefined();
});

test.each([null, 7])(
  "ids beyond a double are exact and different, shuffled by %p",
  async (shuffle) => {
    await withFolder(async (folder) => {
      const path = join(folder, "d.jsonl");
      const ids = ["1234567890123456789", "1234567890123456790", "0.10000000000000000001", "1e400"];
      await writeFile(path, ids.map((id) => `{"id":${id}}\n`).join(""));
      const rows = await readRows(await sourceOf(path, { idField: "id", shuffle }));
      expect(rows.map(({ id }) => id).sort()).toEqual(ids.toSorted());
      for (const { id, row } of rows) expect(JSON.stringify(row)).toBe(`{"id":${id}}`);
    });
  },
);
