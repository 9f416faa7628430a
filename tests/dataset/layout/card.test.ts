// Cards of datasets: their configs, the default one, and what is wrong with them.

import { expect, test } from "bun:test";
import { parseCard } from "../../../src/dataset/layout/card.ts";

const parse = (configs: string, more = "") =>
  parseCard("root", new Map([["README.md", `---\n${more}configs:\n${configs}---\ntext\n`]]));
const config = (name: string, more: object = {}) => ({
  ...{ name, folder: "", patterns: null, settings: [] },
  ...more,
});
const patterns = (...pairs: (readonly [string, readonly string[]])[]) => ({
  patterns: new Map(pairs),
});

test.each<[files: string, wanted: ReturnType<typeof patterns>]>([
  ["data_files: a.csv", patterns(["train", ["a.csv"]])],
  ["data_files: [a.csv, 'b/*']", patterns(["train", ["a.csv", "b/*"]])],
  ["data_files: [{split: x, path: a}]", patterns(["x", ["a"]])],
  [
    "data_files: [{split: x, path: [a, b]}, {split: y.z, path: c}]",
    patterns(["x", ["a", "b"]], ["y.z", ["c"]]),
  ],
  ["data_files: {x: a, y: [b, c]}", patterns(["x", ["a"]], ["y", ["b", "c"]])],
])("the files %s of a config are globs by split", (files, wanted) => {
  expect(parse(`- {config_name: c, ${files}}\n`)?.configs).toEqual([config("c", wanted)]);
});

test.each(["en", "./en", "en/", "././en//"])("the folder %s of a config is en", (folder) => {
  expect(parse(`- {config_name: c, data_dir: ${folder}}\n`)?.configs).toEqual([
    config("c", { folder: "en" }),
  ]);
});

test("a config may have the folder of the card, a number as its name, and plain settings", () => {
  const text =
    "- {config_name: 2024, data_dir: ., version: 1.0.0, default: true, drop_labels: true}\n" +
    "- {config_name: no, sep: ;, header: 1}\n";
  expect(parse(text)).toEqual({
    configs: [config("2024"), config("no", { settings: ["sep", "header"] })],
    default: "2024",
  });
});

test.each<[configs: string, more: string, name: string | null]>([
  ["- config_name: a\n", "", "a"],
  ["- config_name: a\n- config_name: b\n", "", null],
  ["- config_name: a\n- config_name: default\n", "", "default"],
  ["- config_name: a\n- {config_name: b, default: true}\n", "", "b"],
  ["- config_name: a\n- {config_name: b, default: false}\n", "", null],
  ["- config_name: a\n- config_name: b\n", "dataset_info: {config_name: b}\n", "b"],
  ["- config_name: a\n- config_name: b\n", "dataset_info: [{config_name: b}]\n", "b"],
  [
    "- config_name: a\n- config_name: b\n",
    "dataset_info: [{config_name: b}, {config_name: a}]\n",
    null,
  ],
  ["- config_name: a\n- config_name: b\n", "dataset_info: {config_name: c}\n", null],
])("of the configs %j and %j, the default is %p", (configs, more, name) => {
  expect(parse(configs, more)?.default).toBe(name);
});

test.each<[configs: string, why: string]>([
  ["- data_files: a\n", "an entry of `configs` has no `config_name`"],
  ["- a\n", "an entry of `configs` has no `config_name`"],
  ["  a: b\n", "`configs` is not a list"],
  [
    "- {config_name: c, data_dir: ../x}\n",
    "`data_dir` of the config c is not a folder below the dataset",
  ],
  [
    "- {config_name: c, data_dir: 3}\n",
    "`data_dir` of the config c is not a folder below the dataset",
  ],
  [
    "- {config_name: c, data_files: 3}\n",
    "`data_files` of the config c are not paths, or paths by split",
  ],
  [
    "- {config_name: c, data_files: []}\n",
    "`data_files` of the config c are not paths, or paths by split",
  ],
  [
    "- {config_name: c, data_files: {}}\n",
    "`data_files` of the config c are not paths, or paths by split",
  ],
  [
    "- {config_name: c, data_files: [{split: x}]}\n",
    "`data_files` of the config c are not paths, or paths by split",
  ],
  [
    "- {config_name: c, data_files: [{split: x, path: a}, {split: x, path: b}]}\n",
    "`data_files` of the config c are not paths, or paths by split",
  ],
  [
    "- {config_name: c, data_files: 'https://x.org/a.csv'}\n",
    "the config c has files elsewhere, which are not read: https://x.org/a.csv",
  ],
  [
    "- {config_name: c, data_files: [a, /etc/b]}\n",
    "the config c has files elsewhere, which are not read: /etc/b",
  ],
  [
    "- {config_name: c, data_files: a/../../b}\n",
    "the config c has files elsewhere, which are not read: a/../../b",
  ],
  [
    "- {config_name: c, default: true}\n- config_name: default\n",
    "it has several default configs: c and default",
  ],
])("the configs %j are refused: %s", (configs, why) => {
  expect(() => parse(configs)).toThrow(`the card of root cannot be read: ${why}`);
});

test("a head that is no YAML is refused where it has configs, and else left alone", () => {
  expect(() => parse("- {config_name: a\n")).toThrow("the card root/README.md is not valid YAML: ");
  expect(parseCard("root", new Map([["README.md", "---\na: b: c\n---\n"]]))).toBeNull();
});

test.each([
  "",
  "# configs:\n",
  "---\nlicense: mit\n---\n",
  "---\nconfigs: []\n---\n",
  "---\nconfigs:\n---\n",
  "---\n- a\n---\n",
])("the card %j has no configs", (text) => {
  expect(parseCard("root", new Map([["README.md", text]]))).toBeNull();
});

test(".huggingface.yaml comes before the head of README.md, field by field", () => {
  const texts = new Map([
    [
      "README.md",
      "---\r\nconfigs:\r\n- config_name: a\r\n- config_name: b\r\ndataset_info: {config_name: b}\r\n---\r\n",
    ],
    [".huggingface.yaml", "configs:\n- config_name: b\n- config_name: c\n"],
  ]);
  expect(parseCard("root", texts)).toEqual({ configs: [config("b"), config("c")], default: "b" });
});
