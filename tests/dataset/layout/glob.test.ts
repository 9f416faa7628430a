// Globs as fsspec reads them.

import { expect, test } from "bun:test";
import { matchPaths } from "../../../src/dataset/layout/glob.ts";

const PATHS = [
  "a.csv",
  "b1.csv",
  "b2.csv",
  "data/a.csv",
  "data/deep/er/a.csv",
  "data/x[1].csv",
  ".hidden/a.csv",
  "data/.b.csv",
  "__pycache__/a.csv",
  "data/__s__/a.csv",
  "dataset_info.json",
  "data/README.md",
  "with space/a.csv",
  "{a,b}.csv",
];

test.each<[pattern: string, matched: readonly string[]]>([
  ["a.csv", ["a.csv"]],
  ["./a.csv", ["a.csv"]],
  ["data//a.csv", ["data/a.csv"]],
  ["*.csv", ["a.csv", "b1.csv", "b2.csv", "{a,b}.csv"]],
  ["{a,b}.csv", ["{a,b}.csv"]],
  ["b?.csv", ["b1.csv", "b2.csv"]],
  ["b[1-1].csv", ["b1.csv"]],
  ["b[!1].csv", ["b2.csv"]],
  ["b[2-1].csv", []],
  ["*/a.csv", ["data/a.csv", "with space/a.csv"]],
  ["data/**", ["data/a.csv", "data/deep/er/a.csv", "data/x[1].csv"]],
  ["**/a.csv", ["a.csv", "data/a.csv", "data/deep/er/a.csv", "with space/a.csv"]],
  ["data/**/a.csv", ["data/a.csv", "data/deep/er/a.csv"]],
  ["da**", []],
  ["data/x[[]1].csv", ["data/x[1].csv"]],
  ["data/x[1].csv", []],
  [".hidden/*", [".hidden/a.csv"]],
  [".*/a.csv", [".hidden/a.csv"]],
  ["data/.*", ["data/.b.csv"]],
  ["__pycache__/*", ["__pycache__/a.csv"]],
  ["data/__*/*", ["data/__s__/a.csv"]],
  ["*.json", []],
  ["dataset_info.json", ["dataset_info.json"]],
  ["data/*.md", []],
  ["**/README.md", ["data/README.md"]],
  ["with*/*", ["with space/a.csv"]],
  ["a[.]csv", ["a.csv"]],
  ["a+.csv", []],
])("the pattern %s matches %j", (pattern, matched) => {
  expect(matchPaths(PATHS, pattern)).toEqual([...matched].sort());
});
