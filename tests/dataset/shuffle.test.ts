import { expect, test } from "bun:test";
import { readdir, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDataset } from "../../src/dataset/open.ts";
import { shuffleRows } from "../../src/dataset/shuffle.ts";
import type { DatasetRow } from "../../src/dataset/source.ts";
import { withFolder } from "../parts/folder.ts";
import { readRows, sourceOf } from "./rows.ts";

const ROWS = Array.from({ length: 200 }, (_, n) => ({ k: `k ${n}`, text: `ж😀\u2028 ${n}` }));
const JSONL = ROWS.map((row) => JSON.stringify(row)).join("\r\n");
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  "d.jsonl": `\ufeff${JSONL}\n`,
  "d.jsonl.gz": Bun.gzipSync(JSONL),
  "d.jsonl.zst": Bun.zstdCompressSync(JSONL),
  "d.json": JSON.stringify(ROWS, null, 1),
  "d.csv": `k,text\n${ROWS.map(({ k, text }) => `${k},${text}`).join("\n")}`,
};

const idsOf = (rows: readonly DatasetRow[]) => rows.map(({ id }) => id);

async function spools(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((entry) => entry.startsWith("matrix-shuffle-"));
}

for (const [name, content] of Object.entries(FILES))
  test(`${name} is shuffled by seed: the same rows in an order of the seed`, () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, name), content);
      const read = async (shuffle: number) =>
        readRows(await sourceOf(join(folder, name), { idField: "k", shuffle }));
      const first = await read(1);
      expect(idsOf(first).slice(0, 5)).toEqual(["k 181", "k 94", "k 195", "k 47", "k 193"]);
      expect(await read(1)).toEqual(first);
      expect(idsOf(await read(2))).not.toEqual(idsOf(first));
      const inOrder = first.toSorted((a, b) => a.number - b.number);
      expect(inOrder.map(({ row }) => row)).toEqual(ROWS);
      expect(inOrder.map(({ id, number }) => [id, number])).toEqual(ROWS.map(({ k }, n) => [k, n]));
    }));

test("rows of several files are shuffled through all of them", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "a.jsonl"), '{"n":0}\n\n{"n":1}');
    await writeFile(join(folder, "b.jsonl"), '{"n":2}\n{"n":3}\n');
    const rows = await readRows(await sourceOf(join(folder, "*.jsonl"), { shuffle: 3 }));
    expect(rows.map(({ number, id, row }) => [number, id, row["n"]])).toEqual(
      rows.map(({ number }) => [number, String(number), number]),
    );
    expect(idsOf(rows).toSorted()).toEqual(["0", "1", "2", "3"]);
  }));

test("a limit takes the first rows of the shuffled order, after the filter", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), JSONL);
    const filter = (row: { readonly [key: string]: unknown }) => String(row["k"]).endsWith("0");
    const read = async (limit: number | null) =>
      idsOf(await readRows(await sourceOf(join(folder, "d.jsonl"), { filter, shuffle: 3, limit })));
    const all = await read(null);
    expect(all).toHaveLength(20);
    expect(await read(5)).toEqual(all.slice(0, 5));
  }));

test("chosen columns of JSONL are shuffled with the columns alone", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), '{"a":1,"b":2}\n{"a":3,"b":4}\n');
    const rows = await readRows(
      await sourceOf(join(folder, "d.jsonl"), { columns: ["b"], shuffle: 1 }),
    );
    expect(rows.map(({ row }) => row["b"]).toSorted()).toEqual([2, 4]);
    expect(rows.every(({ row }) => !("a" in row))).toBe(true);
  }));

test("closing shuffled rows removes their temporary file; plain JSONL has no such file", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), JSONL);
    await writeFile(join(folder, "d.csv"), FILES["d.csv"] ?? "");
    const before = await spools();
    const plain = await shuffleRows(await sourceOf(join(folder, "d.jsonl")), 1);
    expect(await spools()).toEqual(before);
    await plain.close();
    const { close } = await shuffleRows(await sourceOf(join(folder, "d.csv")), 1);
    expect(await spools()).toHaveLength(before.length + 1);
    await close();
    expect(await spools()).toEqual(before);
  }));

test("a file that shrank under a shuffled run fails the run", () =>
  withFolder(async (folder) => {
    const path = join(folder, "d.jsonl");
    await writeFile(path, JSONL);
    const source = await sourceOf(path, { shuffle: 1 });
    const stream = await openDataset(source, ROWS.length);
    await truncate(path, 10);
    expect(async () => stream.next()).toThrow("a file is shorter than it was");
  }));

test("a row that cannot be read when the order is drawn fails the run", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "d.jsonl"), '{"n":0}\n{\n');
    const source = await sourceOf(join(folder, "d.jsonl"));
    await expect(shuffleRows(source, 1)).rejects.toMatchObject({
      code: "dataset_gone",
      message: expect.stringContaining("the line is not JSON"),
    });
  }));
