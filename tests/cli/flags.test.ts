// Flags that several commands share.

import { expect, test } from "bun:test";
import { InvalidArgumentError } from "commander";
import {
  insecureOption,
  jsonOption,
  listenOption,
  metricsOption,
  overrideOptions,
  overridesOf,
  parsePatience,
  patienceOption,
  wholeNumber,
} from "../../src/cli/flags.ts";

test("flags become overrides of recipe keys, after those that were typed", () => {
  expect(overridesOf(["run.seed=1", "a.b=c"], {})).toEqual(["run.seed=1", "a.b=c"]);
  expect(
    overridesOf(["a=b"], { output: 'my "run"', concurrency: 5, trials: 2, limit: 0, seed: 9 }),
  ).toEqual([
    "a=b",
    'run.output="my \\"run\\""',
    "run.concurrency=5",
    "run.trials=2",
    "dataset.limit=0",
    "run.seed=9",
  ]);
});

test("a whole number has digits only, and is one that can be counted", () => {
  expect(["0", "12", "007"].map(wholeNumber)).toEqual([0, 12, 7]);
  for (const text of ["", " 1", "-1", "1.5", "1e3", "many", "9007199254740992"])
    expect(() => wholeNumber(text)).toThrow(InvalidArgumentError);
  expect(() => wholeNumber("x")).toThrow("It must be a whole number.");
});

test("--patience is a duration", () => {
  expect([parsePatience("90s"), parsePatience("10m"), parsePatience("2h")]).toEqual([
    90_000, 600_000, 7_200_000,
  ]);
  expect(() => parsePatience("soon")).toThrow('--patience: "soon" is not a duration');
});

test("every shared flag has its name, a default where it has one, and its variable", () => {
  const options = [
    ...overrideOptions,
    jsonOption(),
    listenOption("listen"),
    insecureOption(),
    patienceOption(),
    metricsOption(),
  ];
  expect(options.map((option) => [option.flags, option.envVar, option.defaultValue])).toEqual([
    ["-o, --output <dir>", "MATRIX_OUTPUT", undefined],
    ["-n, --concurrency <n>", "MATRIX_CONCURRENCY", undefined],
    ["--trials <n>", "MATRIX_TRIALS", undefined],
    ["--limit <n>", "MATRIX_LIMIT", undefined],
    ["--seed <n>", "MATRIX_SEED", undefined],
    ["--json", "MATRIX_JSON", undefined],
    ["--listen <addr>", "MATRIX_LISTEN", undefined],
    ["--insecure", "MATRIX_INSECURE", undefined],
    ["--patience <duration>", "MATRIX_PATIENCE", "10m"],
    ["--metrics <addr>", "MATRIX_METRICS", undefined],
  ]);
  for (const { description } of options) expect(description).not.toBe("");
});
