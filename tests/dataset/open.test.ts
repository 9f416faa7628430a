import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BatchedRows, openDataset, selectRows } from "../../src/dataset/open.ts";
import type { DatasetRow, DatasetSource } from "../../src/dataset/source.ts";
import { withFolder } from "../parts/folder.ts";
import { readRows, sourceOf } from "./rows.ts";

const TEN = Array.from({ length: 10 }, (_, n) => `{"n":${n},"k":"k${n}"}\n`).join("");

function withSource<T>(
  use: (source: DatasetSource) => Promise<T>,
  more: Partial<DatasetSource> = {},
  text = TEN,
): Promise<T> {
  return withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), text);
    return use(await sourceOf(join(folder, "d.jsonl"), more));
  });
}

function numbersOf(more: Partial<DatasetSource>): Promise<number[]> {
  return withSource(async (source) => (await readRows(source)).map(({ number }) => number), more);
}

test.each<[more: Partial<DatasetSource>, numbers: number[]]>([
  [{}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  [{ limit: 3 }, [0, 1, 2]],
  [{ limit: 99 }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  [{ filter: ({ n }) => Number(n) >= 4, limit: 2 }, [4, 5]],
  [{ shard: { index: 1, count: 4 } }, [1, 5, 9]],
  [{ shard: { index: 1, count: 4 }, limit: 6 }, [1, 5]],
])("rows of %j are those that limit, filter and shard leave", async (more, numbers) => {
  expect(await numbersOf(more)).toEqual(numbers);
});

test("the shards of a run have exactly its rows together, in the order of the run", async () => {
  for (const more of [{}, { limit: 7 }, { shuffle: 4 }, { shuffle: 4, limit: 7 }]) {
    const whole = await numbersOf(more);
    for (const index of [0, 1, 2])
      expect(await numbersOf({ ...more, shard: { index, count: 3 } })).toEqual(
        whole.filter((number) => number % 3 === index),
      );
  }
});

test("rows that are in memory are given at once, without a promise", () =>
  withSource(async (source) => {
    const stream = await openDataset(source, 10);
    const first = stream.next();
    expect(first).toBeInstanceOf(Promise);
    await first;
    expect(stream.next()).toMatchObject({ number: 1 });
    await stream.close();
  }));

test("a dataset that grew since the scan gives as many rows as were counted", () =>
  withSource(async (source) => {
    const stream = await openDataset(source, 2);
    expect([await stream.next(), await stream.next(), await stream.next()]).toMatchObject([
      { number: 0 },
      { number: 1 },
      null,
    ] as never);
    expect(stream.next()).toBeNull();
    await stream.close();
  }));

test("a dataset that shrank since the scan fails instead of ending early", () =>
  withSource(async (source) => {
    const stream = await openDataset(source, 11);
    for (let i = 0; i < 10; i++) await stream.next();
    expect(async () => stream.next()).toThrow("it has 10 rows now and had 11");
  }));

test("a row that became unreadable fails with its place", () =>
  withSource(
    async (source) => {
      const stream = await openDataset(source, 2);
      await expect((async () => stream.next())()).rejects.toMatchObject({
        code: "dataset_gone",
        message: expect.stringMatching(/since the run began: .*d\.jsonl:2 the line is not JSON/),
      });
    },
    {},
    '{"n":0}\n{\n',
  ));

test("a row behind the limit may be unreadable", () =>
  withSource(
    async (source) => {
      const stream = await openDataset(source, 1);
      expect(await stream.next()).toMatchObject({ number: 0 });
      expect(stream.next()).toBeNull();
    },
    { limit: 1 },
    '{"n":0}\n{\n',
  ));

test("a stream of batches releases what it holds when it is closed", async () => {
  const events: string[] = [];
  const batches = (async function* (): AsyncGenerator<readonly DatasetRow[]> {
    try {
      yield [{ id: "0", number: 0, row: {} }];
      yield [];
      yield [{ id: "1", number: 1, row: {} }];
    } finally {
      events.push("ended");
    }
  })();
  const stream = new BatchedRows(batches, 2, async () => void events.push("released"));
  expect(await stream.next()).toMatchObject({ id: "0" });
  expect(await stream.next()).toMatchObject({ id: "1" });
  await stream.close();
  expect(events).toEqual(["ended", "released"]);
});

test("rows in order hold nothing to release", () =>
  withSource(async (source) => {
    expect(await (await selectRows(source)).close()).toBeUndefined();
  }));
