// The flags of scripts/mutate.

import { expect, test } from "bun:test";
import { readOptions, UsageError } from "../../../scripts/mutation/options.ts";

test("without flags, 40 mutants of every folder are drawn by seed 0", () => {
  expect(readOptions([])).toMatchObject({
    folders: null,
    files: null,
    mutants: null,
    perFolder: 40,
    seed: "0",
    shareMin: 0,
    print: "report",
  });
});

test("flags that may be repeated are gathered, and a percentage becomes a share", () => {
  const options = readOptions(["--folder", "task", "--folder", "peer", "--min", "85", "--entries"]);
  expect(options).toMatchObject({ folders: ["task", "peer"], shareMin: 0.85, print: "entries" });
});

test("--help asks for the usage alone", () => {
  expect(readOptions(["--help"])).toBeNull();
});

test("an unknown flag and a number that is none are refused by name", () => {
  expect(() => readOptions(["--folders", "task"])).toThrow(UsageError);
  expect(() => readOptions(["--per-folder", "many"])).toThrow(
    '--per-folder takes a whole number from 1, not "many"',
  );
});
