// Datasets: every format gives the same rows, in order or shuffled, and a large one does not fill the memory.

import { describe, expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { splitLines } from "../../src/dataset/lines.ts";
import { openDataset } from "../../src/dataset/open.ts";
import { scanDataset } from "../../src/dataset/scan.ts";
import type { DatasetRow, DatasetSource } from "../../src/dataset/source.ts";
import { IdDigest } from "../../src/task/id-digest.ts";
import { withFolder } from "../parts/folder.ts";
import { readRows, sourceOf } from "./rows.ts";

const ROWS = Array.from({ length: 500 }, (_, i) => ({
  k: `row ${i}`,
  text: `ж😀\u2028"${"x".repeat(i % 50)}`,
  n: String(i),
}));
const jsonl = ROWS.map((row) => JSON.stringify(row)).join("\r\n");

const FILES: Readonly<Record<string, string | Uint8Array>> = {
  "d.jsonl": `\ufeff${jsonl}\n`,
  "d.jsonl.gz": Bun.gzipSync(jsonl),
  "d.jsonl.zst": Bun.zstdCompressSync(jsonl),
  "d.json": JSON.stringify(ROWS, null, 1),
  "d.csv": `k,text,n\n${ROWS.map(({ k, text, n }) => `${k},"${text.replaceAll('"', '""')}",${n}`).join("\n")}`,
};

/** A file of the folder whose ids are in the field `k`. */
const keyedSource = (folder: string, path: string, more: Partial<DatasetSource> = {}) =>
  sourceOf(join(folder, path), { idField: "k", ...more });

describe("a dataset", () => {
  for (const [name, content] of Object.entries(FILES)) {
    test(`as ${name} gives every row, whole and in order`, () =>
      withFolder(async (folder) => {
        await writeFile(join(folder, name), content);
        const rows = await readRows(await keyedSource(folder, name));
        expect(rows.map(({ row }) => row)).toEqual(ROWS);
        expect(rows.map(({ id, number }) => [id, number])).toEqual(ROWS.map(({ k }, i) => [k, i]));
      }));

    test(`as ${name} is shuffled by seed: another order, the same rows, again the same, and nothing is left behind`, () =>
      withFolder(async (folder) => {
        await writeFile(join(folder, name), content);
        const spools = async () =>
          (await readdir(tmpdir())).filter((entry) => entry.startsWith("matrix-shuffle-"));
        const before = await spools();
        const [first, again, other] = [1, 1, 2].map(async (shuffle) =>
          (await readRows(await keyedSource(folder, name, { shuffle }))).map(({ id }) => id),
        );
        expect(await first).toEqual((await again) as string[]);
        expect(await first).not.toEqual((await other) as string[]);
        expect([...((await first) as string[])].sort()).toEqual(ROWS.map(({ k }) => k).sort());
        expect(await spools()).toEqual(before);
      }));
  }

  test("of several files numbers its rows through them, sorted by name", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "b.jsonl"), '{"k":"3"}\n');
      await writeFile(join(folder, "a.jsonl"), '{"k":"1"}\n\n{"k":"2"}');
      const rows = await readRows(await keyedSource(folder, "*.jsonl", { idField: null }));
      expect(rows.map(({ id, row }) => [id, row["k"]])).toEqual([
        ["0", "1"],
        ["1", "2"],
        ["2", "3"],
      ]);
    }));

  test("counts its limit after the filter, and keeps the numbers of the file", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "d.jsonl"), jsonl);
      const filter = (row: { readonly [key: string]: unknown }) => Number(row["n"]) % 10 === 5;
      const rows = await readRows(
        await keyedSource(folder, "d.jsonl", { filter, limit: 3, idField: null }),
      );
      expect(rows.map(({ id }) => id)).toEqual(["5", "15", "25"]);
    }));

  test("proves with its digest that a longer one begins alike, and tells one that does not", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "short.jsonl"), '{"k":"a"}\n{"k":"b"}\n');
      await writeFile(join(folder, "long.jsonl"), '{"k":"a"}\n{"k":"b"}\n{"k":"c"}\n');
      await writeFile(join(folder, "other.jsonl"), '{"k":"a"}\n{"k":"B"}\n{"k":"c"}\n');
      const short = await scanDataset(await keyedSource(folder, "short.jsonl"), { trials: 1 });
      const scan = async (name: string) =>
        (await scanDataset(await keyedSource(folder, name), { trials: 1, checkpoint: short.rows }))
          .checkpointDigest;
      expect(await scan("long.jsonl")).toBe(short.digest);
      expect(await scan("other.jsonl")).not.toBe(short.digest);
    }));

  test("knows the ids of a shuffled and limited run before it begins", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "d.jsonl"), jsonl);
      const source = await keyedSource(folder, "d.jsonl", { shuffle: 4, limit: 20 });
      const scan = await scanDataset(source, { trials: 2 });
      const digest = new IdDigest();
      for (const { id } of await readRows(source))
        for (const trial of [1, 0]) digest.add(id, trial);
      expect(scan).toMatchObject({ rows: 20, idsDigest: digest.hex });
    }));

  test("in shards gives each row to one of them, also where a shard has none", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "d.jsonl"), jsonl);
      for (const more of [{}, { limit: 33 }, { shuffle: 4 }, { shuffle: 4, limit: 33 }]) {
        const whole = await readRows(await keyedSource(folder, "d.jsonl", more));
        const parts: DatasetRow[][] = [];
        for (let index = 0; index < 40; index++)
          parts.push(
            await readRows(
              await keyedSource(folder, "d.jsonl", { ...more, shard: { index, count: 40 } }),
            ),
          );
        // Each in the order that it has in the whole.
        for (const [index, part] of parts.entries())
          expect(part).toEqual(whole.filter(({ number }) => number % 40 === index));
        expect(parts.some((part) => part.length === 0)).toBe("limit" in more);
      }
    }));

  test("that shrank since the scan fails instead of ending early", () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, "d.jsonl"), '{"k":"a"}\n');
      const stream = await openDataset(await keyedSource(folder, "d.jsonl"), 2);
      expect(await stream.next()).toMatchObject({ id: "a" });
      expect(async () => stream.next()).toThrow("it has 1 rows now and had 2");
    }));
});

describe("lines", () => {
  test("come out the same however the bytes are cut into chunks", async () => {
    const bytes = Buffer.from("a\r\nжж😀\u2028b\n\nlast");
    for (let size = 1; size <= bytes.length; size++) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      const lines = [];
      for await (const batch of splitLines(
        (async function* () {
          yield* chunks;
        })(),
      ))
        lines.push(...batch);
      expect(lines.map(({ text }) => text)).toEqual(["a\r", "жж😀\u2028b", "", "last"]);
      expect(lines.map(({ offset }) => offset)).toEqual([0, 3, 16, 17]);
      expect(lines.every(({ valid }) => valid)).toBe(true);
    }
  });
});
