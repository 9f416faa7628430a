// Splits by the names of files and folders.

import { expect, test } from "bun:test";
import { findSplits, ofOneFormat } from "../../../src/dataset/layout/splits.ts";

const splitsOf = (...paths: readonly string[]) => Object.fromEntries(findSplits(paths));

test.each<[path: string, split: string]>([
  ["training.jsonl", "train"],
  ["my-train-1.jsonl", "train"],
  ["train2.jsonl", "train"],
  ["valid.jsonl", "validation"],
  ["dev.jsonl", "validation"],
  ["val_0.jsonl", "validation"],
  ["validation.jsonl", "validation"],
  ["testing.jsonl", "test"],
  ["a test.jsonl", "test"],
  ["eval.jsonl", "test"],
  ["evaluation.jsonl", "test"],
  ["test/train.jsonl", "test"],
  ["data/test/part.jsonl", "test"],
  ["x/my-test-2/deep/er.jsonl", "test"],
  ["trained.jsonl", "train"],
  ["contest.jsonl", "train"],
  ["values.jsonl", "train"],
  ["TEST.jsonl", "train"],
])("%s alone is of the split %s", (path, split) => {
  expect(splitsOf(path)).toEqual({ [split]: [path] });
});

test.each(["trained.jsonl", "contest.jsonl", "values.jsonl", "devices.jsonl", "TEST.jsonl"])(
  "%s is in no split beside a file whose name has the word of one",
  (path) => {
    expect(splitsOf("eval.jsonl", path)).toEqual({ test: ["eval.jsonl"] });
  },
);

test("shards in the folder data come first, with any split names, known ones before others", () => {
  expect(
    splitsOf(
      "data/zoo-00000-of-00001.jsonl",
      "data/ape-00000-of-00001.jsonl",
      "data/test-00000-of-00001.jsonl",
      "data/train-00001-of-00002-abc.jsonl",
      "data/train-00000-of-00002.jsonl",
      "data/train.jsonl",
      "train-00000-of-00001.jsonl",
    ),
  ).toEqual({
    train: ["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002-abc.jsonl"],
    test: ["data/test-00000-of-00001.jsonl"],
    ape: ["data/ape-00000-of-00001.jsonl"],
    zoo: ["data/zoo-00000-of-00001.jsonl"],
  });
  expect([
    ...findSplits(["data/b-00000-of-00001.csv", "data/test-00000-of-00001.csv"]).keys(),
  ]).toEqual(["test", "b"]);
  expect(splitsOf("data/train-0000-of-0001.csv", "x.csv")).toEqual({
    train: ["data/train-0000-of-0001.csv"],
  });
});

test("words in folder names come before words in file names, and a file may be in two splits", () => {
  expect(splitsOf("train/a.csv", "dev.csv")).toEqual({ train: ["train/a.csv"] });
  expect(splitsOf("train-test.csv", "x.csv")).toEqual({
    train: ["train-test.csv"],
    test: ["train-test.csv"],
  });
});

test("no files have no splits", () => {
  expect(splitsOf()).toEqual({});
  expect(splitsOf(".hidden.csv", "config.json")).toEqual({});
});

test.each<[files: readonly string[], chosen: readonly string[]]>([
  [
    ["a.csv", "b.jsonl", "c.csv"],
    ["a.csv", "c.csv"],
  ],
  [["a.csv", "b.jsonl"], ["b.jsonl"]],
  [["a.csv", "b.json"], ["b.json"]],
  [
    ["a.json", "b.jsonl", "c.csv", "d.csv"],
    ["c.csv", "d.csv"],
  ],
  [
    ["a.json", "b.ndjson", "c.csv"],
    ["a.json", "b.ndjson"],
  ],
  [["a.jsonl", "b.parquet"], ["b.parquet"]],
  [["a.csv.gz"], ["a.csv.gz"]],
  [[], []],
])("of %j, %j are read", (files, chosen) => {
  expect(ofOneFormat(files)).toEqual(chosen);
});
