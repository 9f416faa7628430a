// Parquet, folders of data files and columns: the rows that other programs wrote, and as little memory as for lines.

import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findFiles } from "../../src/dataset/files.ts";
import { scanDataset } from "../../src/dataset/scan.ts";
import { withFolder } from "../parts/folder.ts";
import { matrix } from "../parts/program.ts";
import { writeTexts } from "./parquet-file.ts";
import { readRows, sourceOf } from "./rows.ts";

describe("a dataset as Parquet", () => {
  test("gives every row in order, shuffled by seed, in shards, and only the columns that were asked for", () =>
    withFolder(async (folder) => {
      const path = join(folder, "d.parquet");
      writeTexts(path, 5, (row) => `text ${row}`);
      const rows = await readRows(await sourceOf(path));
      expect(rows.map(({ id, row }) => [id, row])).toEqual(
        Array.from({ length: 500 }, (_, k) => [String(k), { k, text: `text ${k}` }]),
      );
      const shuffled = await readRows(await sourceOf(path, { shuffle: 1, idField: "k" }));
      expect(shuffled.map(({ id }) => id)).not.toEqual(rows.map(({ id }) => id));
      expect(new Set(shuffled.map(({ id }) => id))).toEqual(new Set(rows.map(({ id }) => id)));
      const shard = await readRows(
        await sourceOf(path, { shard: { index: 1, count: 2 }, columns: ["text"] }),
      );
      expect(shard[0]?.row).toEqual({ text: "text 1" });
      const wrong = sourceOf(path, { columns: ["question"] }).then((source) =>
        scanDataset(source, { trials: 1 }),
      );
      await expect(wrong).rejects.toMatchObject({
        problems: [{ message: 'the file has no column "question"; columns: k, text' }],
      });
    }));

  test("that is damaged, empty or no Parquet is refused, not read in part", () =>
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
    }));
});

describe("columns", () => {
  test("are those that were named, of lines too, in order and shuffled; a row without one is a problem", () =>
    withFolder(async (folder) => {
      const path = join(folder, "d.jsonl");
      await writeFile(path, '{"a":1,"b":2,"c":3}\n{"c":6,"b":5,"a":4}\n');
      const columns = ["c", "a"];
      expect(
        (await readRows(await sourceOf(path, { columns }))).map(({ row }) => JSON.stringify(row)),
      ).toEqual(['{"c":3,"a":1}', '{"c":6,"a":4}']);
      expect(
        (await readRows(await sourceOf(path, { columns, shuffle: 3 })))
          .map(({ row }) => row["c"])
          .sort(),
      ).toEqual([3, 6]);
      await writeFile(path, '{"a":1}\n');
      const scan = sourceOf(path, { columns }).then((source) => scanDataset(source, { trials: 1 }));
      await expect(scan).rejects.toMatchObject({
        problems: [{ line: 1, message: 'the row has no column "c"; fields: a' }],
      });
    }));
});

describe("a folder", () => {
  async function withFiles(
    names: readonly string[],
    use: (folder: string) => Promise<void>,
  ): Promise<void> {
    await withFolder(async (folder) => {
      for (const name of names) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        if (name.endsWith(".parquet")) writeTexts(join(folder, name), 1, (row) => `${name} ${row}`);
        else await writeFile(join(folder, name), '{"k":1,"text":"line"}\n');
      }
      await use(folder);
    });
  }
  const namesIn = async (folder: string, path: string) =>
    (await findFiles([join(folder, path)], undefined)).map((file) =>
      file.path.slice(folder.length + 1),
    );

  test("of a Hugging Face dataset is read by split, by folder, or whole when it has but one", () =>
    withFiles(
      [
        "README.md",
        "dataset_info.json",
        "en/train-00000-of-00002.parquet",
        "en/train-00001-of-00002.parquet",
        "en/test.parquet",
        "only/data.jsonl",
      ],
      async (folder) => {
        expect(await namesIn(folder, "en/train")).toEqual([
          "en/train-00000-of-00002.parquet",
          "en/train-00001-of-00002.parquet",
        ]);
        expect(await namesIn(folder, "en/test")).toEqual(["en/test.parquet"]);
        expect(await namesIn(folder, "only")).toEqual(["only/data.jsonl"]);
        expect(await namesIn(folder, "en/train-*.parquet")).toHaveLength(2);
        await expect(namesIn(folder, "en")).rejects.toMatchObject({
          message: expect.stringContaining("en has several splits"),
          hint: expect.stringMatching(/choose one, for example .*en\/(train|test)/),
        });
        await expect(namesIn(folder, "en/validation")).rejects.toMatchObject({
          hint: expect.stringContaining("test.parquet"),
        });
      },
    ));

  test("has splits of names of its own", () =>
    withFiles(
      [
        "data/train_sft-00000-of-00001-a1b2.parquet",
        "data/train_gen-00000-of-00001.parquet",
        "data/test_sft.jsonl.gz",
      ],
      async (folder) => {
        expect(await namesIn(folder, "data/train_sft")).toEqual([
          "data/train_sft-00000-of-00001-a1b2.parquet",
        ]);
        expect(await namesIn(folder, "data/test_sft")).toEqual(["data/test_sft.jsonl.gz"]);
        expect(await namesIn(folder, "data/train")).toHaveLength(2);
      },
    ));

  test("drives a run, as the recipe's path", () =>
    withFiles(["data/train.parquet", "data/test.jsonl"], async (folder) => {
      await writeFile(
        join(folder, "a.ts"),
        "export default ({ row }) => ({ text: row.text, score: 1 });\n",
      );
      await writeFile(
        join(folder, "r.toml"),
        'name = "p"\n[dataset]\npath = "data/train"\ncolumns = ["text"]\n[roles.a]\nagent = "a.ts"\n[orchestrator]\npattern = "sequence"\nroles = ["a"]\n',
      );
      const { stdout, stderr } = await matrix(["drive", "r.toml", "-q"], { cwd: folder });
      expect(stderr).toBe("");
      expect(stdout).toContain("expected 100 = ok 100");
      const { stdout: shown } = await matrix(["show", "runs/p", "7"], { cwd: folder });
      expect(shown).toContain("text: data/train.parquet 7");
      expect(shown).not.toContain("k:");
    }));
});
