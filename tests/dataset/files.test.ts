import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findFiles } from "../../src/dataset/files.ts";
import type { Format } from "../../src/dataset/format.ts";
import { withFolder } from "../parts/folder.ts";

/** A folder with empty files of these names. */
function withFiles(
  names: readonly string[],
  use: (folder: string) => Promise<void>,
): Promise<void> {
  return withFolder(async (folder) => {
    for (const name of names) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), "");
    }
    await use(folder);
  });
}

async function namesIn(folder: string, paths: readonly string[], format?: Format) {
  const files = await findFiles(
    paths.map((path) => join(folder, path)),
    format,
  );
  return files.map((file) => file.path.slice(folder.length + 1));
}

test("a path is a file with the format and compression of its name", () =>
  withFiles(["d.jsonl", "d.csv.gz", "p.parquet"], async (folder) => {
    const paths = ["p.parquet", "d.csv.gz", "d.jsonl"].map((name) => join(folder, name));
    expect(await findFiles(paths, undefined)).toEqual([
      { path: paths[0] ?? "", format: "parquet", compression: null },
      { path: paths[1] ?? "", format: "csv", compression: "gz" },
      { path: paths[2] ?? "", format: "jsonl", compression: null },
    ]);
  }));

test("a format that is stated goes before the name", () =>
  withFiles(["d.json", "d.txt.zst"], async (folder) => {
    const paths = ["d.json", "d.txt.zst"].map((name) => join(folder, name));
    expect(await findFiles(paths, "jsonl")).toMatchObject([
      { format: "jsonl", compression: null },
      { format: "jsonl", compression: "zst" },
    ]);
  }));

test("a glob gives its files sorted by name", () =>
  withFiles(["b.jsonl", "a.jsonl", "sub/c.jsonl", "d.csv"], async (folder) => {
    expect(await namesIn(folder, ["*.jsonl"])).toEqual(["a.jsonl", "b.jsonl"]);
    expect(await namesIn(folder, ["**/*.jsonl"])).toEqual(["a.jsonl", "b.jsonl", "sub/c.jsonl"]);
    expect(await namesIn(folder, ["{a,d}.*", "?.jsonl"])).toEqual([
      "a.jsonl",
      "d.csv",
      "a.jsonl",
      "b.jsonl",
    ]);
    expect(await namesIn(folder, ["[ab].jsonl"])).toHaveLength(2);
  }));

test("a folder gives its data files, and a name below it those of a split", () =>
  withFiles(["README.md", "data/train/b.jsonl", "data/train/a.jsonl"], async (folder) => {
    expect(await namesIn(folder, [""])).toEqual(["data/train/a.jsonl", "data/train/b.jsonl"]);
    expect(await namesIn(folder, ["data/train"])).toHaveLength(2);
  }));

test("a split is found in the folder above its name", () =>
  withFiles(["en/train-0.jsonl", "en/test.jsonl"], async (folder) => {
    expect(await namesIn(folder, ["en/train"])).toEqual(["en/train-0.jsonl"]);
    await expect(namesIn(folder, ["en/validation"])).rejects.toMatchObject({
      message: `${join(folder, "en")} has no file, folder, config or split validation`,
    });
  }));

test("a file whose name contains the characters of a glob is that file", () =>
  withFiles(["a[1].jsonl"], async (folder) => {
    expect(await namesIn(folder, ["a[1].jsonl"])).toEqual(["a[1].jsonl"]);
  }));

test("a missing file is refused with the nearest name beside it", () =>
  withFiles(["questions.jsonl", "zebra.csv", ".question.jsonl"], async (folder) => {
    await expect(namesIn(folder, ["question.jsonl"])).rejects.toMatchObject({
      code: "dataset_invalid",
      message: `there is no dataset at ${join(folder, "question.jsonl")}`,
      hint: `the nearest name in ${folder} is questions.jsonl`,
    });
    await expect(namesIn(folder, ["x-*.jsonl"])).rejects.toMatchObject({
      message: `no file matches ${join(folder, "x-*.jsonl")}`,
      hint: expect.stringContaining("the nearest name"),
    });
  }));

test("a missing file is refused with what is wrong with its folder", () =>
  withFiles([], async (folder) => {
    await expect(namesIn(folder, ["d.jsonl"])).rejects.toMatchObject({
      hint: `${folder} is empty`,
    });
    await expect(namesIn(folder, ["no/d.jsonl"])).rejects.toMatchObject({
      hint: `there is no folder ${join(folder, "no")}`,
    });
    await expect(namesIn(folder, ["no/train"])).rejects.toMatchObject({
      message: `there is no dataset at ${join(folder, "no/train")}`,
    });
  }));

test("a name that tells no format is refused with the names that do", () =>
  withFiles(["d.parq"], async (folder) => {
    await expect(namesIn(folder, ["d.parq"])).rejects.toMatchObject({
      code: "dataset_invalid",
      message: `cannot tell the format of ${join(folder, "d.parq")} from its name`,
      hint: expect.stringContaining('dataset.format = "jsonl"'),
    });
    expect(await namesIn(folder, ["d.parq"], "csv")).toEqual(["d.parq"]);
  }));

test("Parquet that is compressed as a file is refused", () =>
  withFiles(["d.parquet.gz"], async (folder) => {
    await expect(namesIn(folder, ["d.parquet.gz"])).rejects.toMatchObject({
      message: `${join(folder, "d.parquet.gz")} is a compressed Parquet file, which cannot be read`,
    });
    expect(await namesIn(folder, ["d.parquet.gz"], "jsonl")).toEqual(["d.parquet.gz"]);
  }));

const CARD =
  "---\nconfigs:\n- {config_name: en, data_dir: english}\n- {config_name: fr, data_files: 'f/*'}\n---\n";

test("a folder with a card gives the files of a config, also where no folder has its name", () =>
  withFiles(["set/english/train.csv", "set/english/dev.csv", "set/f/x.csv"], async (folder) => {
    await writeFile(join(folder, "set/README.md"), CARD);
    expect(await namesIn(folder, ["set/fr"])).toEqual(["set/f/x.csv"]);
    expect(await namesIn(folder, ["set/en/validation"])).toEqual(["set/english/dev.csv"]);
    expect(await namesIn(folder, ["set/english/train.csv"])).toEqual(["set/english/train.csv"]);
    expect(await namesIn(folder, ["set/f"])).toEqual(["set/f/x.csv"]);
    await expect(namesIn(folder, ["set"])).rejects.toMatchObject({
      message: `${join(folder, "set")} has several configs: en, fr`,
      hint: `choose one, for example ${join(folder, "set/en")}`,
    });
    await expect(namesIn(folder, ["set/en"])).rejects.toMatchObject({
      hint: `choose one, for example ${join(folder, "set/en/train")}`,
    });
    await expect(namesIn(folder, ["set/en/test"])).rejects.toMatchObject({
      hint: "the config en has the splits train, validation",
    });
  }));

test("a folder that is also a config of the card above it is read as the config", () =>
  withFiles(["set/en/a.csv", "set/en/b.csv", "set/de/train.csv", "README.md"], async (folder) => {
    await writeFile(
      join(folder, "set/README.md"),
      "---\nconfigs: [{config_name: en, data_files: en/b.csv}]\n---\n",
    );
    expect(await namesIn(folder, ["set/en"])).toEqual(["set/en/b.csv"]);
    expect(await namesIn(folder, ["set/de"])).toEqual(["set/de/train.csv"]);
    expect(await namesIn(folder, ["set"])).toEqual(["set/en/b.csv"]);
  }));
