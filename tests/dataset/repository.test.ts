import { expect, test } from "bun:test";
import { chooseFiles } from "../../src/dataset/repository.ts";
import type { MatrixError } from "../../src/error.ts";

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
  "fr/data.jsonl",
];
const [EN_0, EN_1] = ["en/train-00000-of-00002.parquet", "en/train-00001-of-00002.parquet"];

function refusalOf(paths: readonly string[], wanted: string): MatrixError {
  try {
    const chosen = chooseFiles("root", paths, wanted);
    throw new Error(`chose ${chosen}`);
  } catch (thrown) {
    return thrown as MatrixError;
  }
}

test.each<[wanted: string, chosen: readonly string[]]>([
  ["en/test.parquet", ["en/test.parquet"]],
  ["en/train-*.parquet", [EN_0, EN_1]],
  ["*/t*.parquet", ["en/test.parquet", EN_0, EN_1]],
  ["en/train", [EN_0, EN_1]],
  ["en/test", ["en/test.parquet"]],
  ["fr", ["fr/data.jsonl"]],
  ["fr/data", ["fr/data.jsonl"]],
])("%s chooses %j of a repository", (wanted, chosen) => {
  expect(chooseFiles("root", REPOSITORY, wanted)).toEqual([...chosen]);
});

test("the name of a split at the top chooses its files in all folders", () => {
  expect(chooseFiles("root", REPOSITORY, "train")).toEqual([EN_0, EN_1]);
  expect(chooseFiles("root", ["train/a.jsonl", "test/a.jsonl"], "train")).toEqual([
    "train/a.jsonl",
  ]);
});

test("an empty name chooses all data files when they are of one split", () => {
  expect(chooseFiles("root", ["b.jsonl", "a.csv", "README.md"], "")).toEqual(["a.csv", "b.jsonl"]);
  expect(chooseFiles("root", ["train-1.csv", "train-0.csv"], "")).toEqual([
    "train-0.csv",
    "train-1.csv",
  ]);
});

test.each<[path: string, split: string]>([
  ["training.jsonl", "train"],
  ["my-train-1.jsonl", "train"],
  ["valid.jsonl", "validation"],
  ["dev.jsonl", "validation"],
  ["val_0.jsonl", "validation"],
  ["validation.jsonl", "validation"],
  ["testing.jsonl", "test"],
  ["eval.jsonl", "test"],
  ["evaluation.jsonl", "test"],
  ["TEST.jsonl", "test"],
  ["test/train.jsonl", "train"],
  ["data/test/part.jsonl", "test"],
])("%s is a file of the split %s", (path, split) => {
  expect(chooseFiles("root", [path, "else.csv"], split)).toEqual([path]);
});

test.each(["trained.jsonl", "contest.jsonl", "values.jsonl", "devices.jsonl"])(
  "%s is not a file of any split",
  (path) => {
    for (const split of ["train", "validation", "test"])
      expect(refusalOf([path], split).message).toBe(`root has no file, folder or split ${split}`);
  },
);

test("a split with its own name comes before the word in that name", () => {
  const paths = [
    "data/train_sft-00000-of-00001-a1b2.parquet",
    "data/train_gen-00000-of-00001.parquet",
    "data/test_sft.jsonl.gz",
  ];
  expect(chooseFiles("root", paths, "data/train_sft")).toEqual([paths[0] ?? ""]);
  expect(chooseFiles("root", paths, "data/test_sft")).toEqual([paths[2] ?? ""]);
  expect(chooseFiles("root", paths, "data/train")).toEqual([paths[1] ?? "", paths[0] ?? ""]);
});

test("a folder with several splits is refused with the files and an example", () => {
  const refusal = refusalOf(REPOSITORY, "en");
  expect(refusal).toMatchObject({
    code: "dataset_invalid",
    message: `root has several splits: en/test.parquet, ${EN_0}, ${EN_1}`,
    hint: "choose one, for example root/test",
  });
});

test("files with and without a split in their names are several splits", () => {
  expect(refusalOf(["a.jsonl", "train.jsonl"], "").hint).toBe("choose one, for example root/train");
});

test("a missing split is refused with the first five files", () => {
  const paths = Array.from({ length: 7 }, (_, i) => `train-${i}.csv`);
  expect(refusalOf(paths, "test").hint).toBe(
    "it has train-0.csv, train-1.csv, train-2.csv, train-3.csv, train-4.csv and 2 more",
  );
  expect(refusalOf(paths.slice(0, 5), "test").hint).toBe(
    "it has train-0.csv, train-1.csv, train-2.csv, train-3.csv, train-4.csv",
  );
});

test("a folder without data files is refused", () => {
  expect(refusalOf(["README.md"], "train").message).toBe("root has no data files");
});

test("a folder's name chooses no files of a folder whose name begins alike", () => {
  expect(refusalOf(["english/a.jsonl"], "en").message).toBe("root has no file, folder or split en");
});

test("a path that contains the characters of a glob is that file", () => {
  const paths = ["a1.jsonl", "a[1].jsonl"];
  expect(chooseFiles("root", paths, "a[1].jsonl")).toEqual(["a[1].jsonl"]);
});
