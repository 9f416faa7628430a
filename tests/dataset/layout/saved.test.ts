// Folders of `save_to_disk`.

import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findFiles } from "../../../src/dataset/files.ts";
import { savedFiles } from "../../../src/dataset/layout/saved.ts";
import { withFolder } from "../../parts/folder.ts";

const state = (...names: readonly string[]) =>
  JSON.stringify({ _data_files: names.map((filename) => ({ filename })), _split: "train" });

test("a saved dataset has the files that its state names, in their order", () =>
  withFolder(async (folder) => {
    const names = ["data-00001-of-00002.arrow", "data-00000-of-00002.arrow"];
    await writeFile(join(folder, "state.json"), state(...names));
    await writeFile(join(folder, "dataset_info.json"), "{}");
    expect(savedFiles(folder)).toEqual(names.map((name) => join(folder, name)));
    expect(await findFiles([folder], undefined)).toMatchObject(
      names.map((name) => ({ path: join(folder, name), format: "arrow", compression: null })),
    );
  }));

test("a folder that was not saved so is no such folder", () =>
  withFolder(async (folder) => {
    expect(savedFiles(folder)).toBeNull();
    await writeFile(join(folder, "state.json"), '[{"question": "q"}]');
    expect(savedFiles(folder)).toBeNull();
  }));

test("the only split of a saved dictionary is taken, and one of several must be named", () =>
  withFolder(async (folder) => {
    for (const split of ["train", "test"]) {
      await mkdir(join(folder, split));
      await writeFile(join(folder, split, "state.json"), state(`${split}.arrow`));
    }
    await writeFile(join(folder, "dataset_dict.json"), '{"splits": ["train"]}');
    expect(savedFiles(folder)).toEqual([join(folder, "train", "train.arrow")]);
    await writeFile(join(folder, "dataset_dict.json"), '{"splits": ["train", "test"]}');
    expect(() => savedFiles(folder)).toThrow(
      expect.objectContaining({
        code: "dataset_invalid",
        message: `${folder} has several splits: train, test`,
        hint: `name one of them, such as ${join(folder, "train")}`,
      }),
    );
    expect(savedFiles(join(folder, "test"))).toEqual([join(folder, "test", "test.arrow")]);
  }));

test.each(["../secret.arrow", "a/b.arrow", 7])("a state that names %p is refused", (filename) =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "state.json"), JSON.stringify({ _data_files: [{ filename }] }));
    expect(() => savedFiles(folder)).toThrow("names no file of its folder");
  }),
);

test("a state that is no JSON is refused", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "state.json"), "{");
    expect(() => savedFiles(folder)).toThrow(`cannot read ${join(folder, "state.json")}: `);
  }));
