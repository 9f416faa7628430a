import { expect, test } from "bun:test";
import { parseCard } from "../../../src/dataset/layout/card.ts";
import { chooseFiles } from "../../../src/dataset/layout/choose.ts";
import type { MatrixError } from "../../../src/error.ts";

const REPOSITORY = [
  "README.md",
  "dataset_info.json",
  "en/dataset_infos.json",
  "en/state.json",
  ".cache/train.jsonl",
  "en/.hidden.jsonl",
  "en/train-00001-of-00002.parquet",
  "en/train-00000-of-00002.parquet",
  "en/test.parquet",
  "fr/data.parquet",
];
const [EN_0, EN_1] = ["en/train-00000-of-00002.parquet", "en/train-00001-of-00002.parquet"];

const EN = "- config_name: en\n  data_dir: en\n";
const FR = "- config_name: fr\n  data_files: [{ split: all, path: fr/* }]\n";
const cardOf = (configs: string) =>
  configs === ""
    ? null
    : parseCard("root", new Map([["README.md", `---\nconfigs:\n${configs}---\n`]]));

const choose = (paths: readonly string[], wanted: string, configs = "") =>
  chooseFiles({ root: "root", paths, card: cardOf(configs) }, wanted);

function refusalOf(paths: readonly string[], wanted: string, configs = ""): MatrixError {
  let chosen: readonly string[];
  try {
    chosen = choose(paths, wanted, configs);
  } catch (thrown) {
    return thrown as MatrixError;
  }
  throw new Error(`chose ${chosen}`);
}

test.each<[wanted: string, chosen: readonly string[]]>([
  ["en/test.parquet", ["en/test.parquet"]],
  ["en/train-*.parquet", [EN_0, EN_1]],
  ["*/t*.parquet", ["en/test.parquet", EN_0, EN_1]],
  ["en/train", [EN_0, EN_1]],
  ["en/test", ["en/test.parquet"]],
  ["fr", ["fr/data.parquet"]],
  ["fr/data", ["fr/data.parquet"]],
  ["fr/train", ["fr/data.parquet"]],
  ["train", [EN_0, EN_1]],
])("%s chooses %j of a repository without a card", (wanted, chosen) => {
  expect(choose(REPOSITORY, wanted)).toEqual(chosen);
});

test.each<[wanted: string, chosen: readonly string[]]>([
  ["fr", ["fr/data.parquet"]],
  ["fr/all", ["fr/data.parquet"]],
  ["en/train", [EN_0, EN_1]],
  ["en/train-*.parquet", [EN_0, EN_1]],
  ["en/test.parquet", ["en/test.parquet"]],
])("%s chooses %j of a repository whose card has configs", (wanted, chosen) => {
  expect(choose(REPOSITORY, wanted, EN + FR)).toEqual(chosen);
});

test("configs of a card are not mixed: one must be named, unless one is the default", () => {
  for (const wanted of ["", "train"])
    expect(refusalOf(REPOSITORY, wanted, EN + FR)).toMatchObject({
      code: "dataset_invalid",
      message: "root has several configs: en, fr",
      hint: "choose one, for example root/en",
    });
  const marked = `${EN}${FR}  default: true\n`;
  expect(choose(REPOSITORY, "", marked)).toEqual(["fr/data.parquet"]);
  expect(choose(REPOSITORY, "all", marked)).toEqual(["fr/data.parquet"]);
  expect(choose(REPOSITORY, "", FR)).toEqual(["fr/data.parquet"]);
});

test("a config with several splits is refused with a hint that keeps the config", () => {
  expect(refusalOf(REPOSITORY, "en", EN + FR)).toMatchObject({
    message: "root/en has several splits: train, test",
    hint: "choose one, for example root/en/train",
  });
  expect(refusalOf(REPOSITORY, "", EN)).toMatchObject({
    message: "root has several splits: train, test",
    hint: "choose one, for example root/train",
  });
  expect(refusalOf(REPOSITORY, "en/dev", EN + FR)).toMatchObject({
    message: "root has no file, folder, config or split en/dev",
    hint: "the config en has the splits train, test",
  });
  expect(refusalOf(REPOSITORY, "it/dev", EN + FR).hint).toBe("it has the configs en, fr");
});

test("a config whose name begins with that of another is chosen by its own name", () => {
  const configs =
    "- {config_name: a, data_files: a.csv}\n- {config_name: a/b, data_files: b.csv}\n";
  expect(choose(["a.csv", "b.csv"], "a/b", configs)).toEqual(["b.csv"]);
  expect(choose(["a.csv", "b.csv"], "a/b/train", configs)).toEqual(["b.csv"]);
  expect(choose(["a.csv", "b.csv"], "a/train", configs)).toEqual(["a.csv"]);
});

test("a config without its files is refused, and so are settings that are not known here", () => {
  const paths = ["a.csv", "b.csv"];
  expect(refusalOf(paths, "", "- {config_name: x, data_files: c.csv}\n")).toMatchObject({
    message: "the config x of root names the file c.csv, which is not a data file",
    hint: "it has a.csv, b.csv",
  });
  expect(refusalOf(paths, "", "- {config_name: x, data_files: 'c*.csv'}\n")).toMatchObject({
    message: "root has no data files of the config x",
    hint: "it has a.csv, b.csv",
  });
  expect(refusalOf(paths, "", "- {config_name: x, data_files: a.csv, sep: ;}\n")).toMatchObject({
    message: "the config x of root is read with settings that are not known here: sep",
    hint: "name its files themselves, for example root/a.csv",
  });
  expect(choose(paths, "a.csv", "- {config_name: x, sep: ;}\n")).toEqual(["a.csv"]);
});

test("an empty name chooses all data files when they are of one split", () => {
  expect(choose(["b.jsonl", "a.json", "README.md"], "")).toEqual(["a.json", "b.jsonl"]);
  expect(choose(["train-1.csv", "train-0.csv"], "")).toEqual(["train-0.csv", "train-1.csv"]);
  expect(choose(["a.jsonl", "train.jsonl"], "")).toEqual(["train.jsonl"]);
});

test("of files of several formats, those of the most frequent one are read", () => {
  expect(choose(["a.csv", "b.jsonl", "c.csv"], "")).toEqual(["a.csv", "c.csv"]);
  expect(choose(["a.jsonl", "a.parquet"], "")).toEqual(["a.parquet"]);
  expect(choose(["a.csv", "b.json"], "")).toEqual(["b.json"]);
  expect(choose(["x/a.csv", "x/b.json"], "x")).toEqual(["x/b.json"]);
});

test("a split with its own name comes before the word in that name", () => {
  const paths = [
    "data/train_sft-00000-of-00001-a1b2.parquet",
    "data/train_gen-00000-of-00001.parquet",
    "data/test_sft.jsonl.gz",
  ];
  expect(choose(paths, "data/train_sft")).toEqual([paths[0] ?? ""]);
  expect(choose(paths, "train_sft")).toEqual([paths[0] ?? ""]);
  expect(choose(paths, "data/test_sft")).toEqual([paths[2] ?? ""]);
  expect(choose(paths, "data/train")).toEqual([paths[1] ?? "", paths[0] ?? ""]);
});

test("a folder with several splits is refused with its splits and an example that keeps the folder", () => {
  expect(refusalOf(REPOSITORY, "en")).toMatchObject({
    code: "dataset_invalid",
    message: "root/en has several splits: train, test",
    hint: "choose one, for example root/en/train",
  });
});

test("a missing split is refused with the first five files", () => {
  const paths = Array.from({ length: 7 }, (_, i) => `train-${i}.csv`);
  expect(refusalOf(paths, "test").hint).toBe(
    "it has train-0.csv, train-1.csv, train-2.csv, train-3.csv, train-4.csv and 2 more",
  );
  expect(refusalOf([...paths.slice(0, 5), ".x.csv"], "test").hint).toBe(
    "it has train-0.csv, train-1.csv, train-2.csv, train-3.csv, train-4.csv",
  );
});

test("a folder without data files is refused", () => {
  expect(refusalOf(["README.md"], "train").message).toBe("root has no data files");
  expect(refusalOf([".cache/a.jsonl", "__x__/b.jsonl"], "").message).toBe("root has no data files");
});

test("a folder's name chooses no files of a folder whose name begins alike", () => {
  expect(refusalOf(["english/a.jsonl"], "en").message).toBe(
    "root has no file, folder, config or split en",
  );
});

test("a path that contains the characters of a glob is that file", () => {
  const paths = ["a1.jsonl", "a[1].jsonl"];
  expect(choose(paths, "a[1].jsonl")).toEqual(["a[1].jsonl"]);
});
