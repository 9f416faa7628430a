// Kinds of values: what each takes, what it becomes, and what it refuses at its edges.

import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import * as kinds from "../../../src/recipe/schema/value-schema.ts";

const takes = (schema: v.GenericSchema, values: readonly unknown[]) =>
  values.filter((value) => v.safeParse(schema, value).success);
const messageOf = (schema: v.GenericSchema, value: unknown) =>
  v.safeParse(schema, value).issues?.[0]?.message;

test("durations become milliseconds and sizes become bytes", () => {
  expect(v.parse(kinds.duration, "90s")).toBe(90_000);
  expect(v.parse(kinds.size, "64MiB")).toBe(67_108_864);
});

test("a duration or size that cannot be read is refused with examples of how to write one", () => {
  const duration = 'a duration such as "90s", in ms, s, m, h or d';
  const size = 'a size such as "512B", "64MiB" or "2GB"';
  for (const value of ["90", 90, true]) expect(messageOf(kinds.duration, value)).toBe(duration);
  for (const value of ["64", 64, true]) expect(messageOf(kinds.size, value)).toBe(size);
});

test("a name begins with a letter or digit and has only letters, digits, _ . and -", () => {
  const good = ["a", "7", "A_b.c-9", "9.x"];
  const bad = ["", "_a", ".a", "-a", "a b", "ä", "a/b", "a\n", 7];
  expect(takes(kinds.name, [...good, ...bad])).toEqual(good);
});

test("numbers are held to their limits, which belong to the range", () => {
  const numbers = [-1, -0.5, 0, 0.5, 1, 1.5, 2, "1", null];
  expect(takes(kinds.positive, numbers)).toEqual([1, 2]);
  expect(takes(kinds.count, numbers)).toEqual([0, 1, 2]);
  expect(takes(kinds.fraction, numbers)).toEqual([0, 0.5, 1]);
  expect(takes(kinds.aboveZero, numbers)).toEqual([0.5, 1, 1.5, 2]);
  expect(takes(kinds.fromZero, numbers)).toEqual([0, 0.5, 1, 1.5, 2]);
});

test("a path is text that is not empty, and a template is a path or a table with its text", () => {
  expect(takes(kinds.path, ["a", "", 7, "s3://a/b", "hf://a/b", "a:/b"])).toEqual(["a", "a:/b"]);
  expect(messageOf(kinds.path, "s3://a/b")).toBe("a path on this machine");
  expect(takes(kinds.rowsPath, ["a", "", 7, "s3://a/b", "hf://a/b"])).toEqual(["a", "hf://a/b"]);
  expect(messageOf(kinds.rowsPath, "s3://a/b")).toBe(
    "a path on this machine, or a dataset of the hub, hf://OWNER/NAME",
  );
  const templates = ["a.md", { text: "" }, { text: "x" }];
  const others = ["", { text: 7 }, {}, { text: "x", more: 1 }, 7, null];
  expect(takes(kinds.template, [...templates, ...others])).toEqual(templates);
  expect(messageOf(kinds.template, 7)).toBe('a path, or { text = "…" }');
});

test("settings are any table, but not a list", () => {
  expect(takes(kinds.settings, [{}, { a: [1] }, [], "x", null])).toEqual([{}, { a: [1] }]);
});

test("a list of roles that must not be empty is refused when it is", () => {
  expect(takes(kinds.someRoles, [["a"], [], [7]])).toEqual([["a"]]);
  expect(messageOf(kinds.someRoles, [])).toBe("at least one role");
  expect(takes(kinds.roles, [["a"], []])).toEqual([["a"], []]);
});

describe("a distribution", () => {
  test("a single value is a constant distribution, in milliseconds for durations", () => {
    expect(v.parse(kinds.durationDistribution, "2s")).toEqual({ kind: "constant", value: 2000 });
    expect(v.parse(kinds.countDistribution, 32)).toEqual({ kind: "constant", value: 32 });
  });

  test("every kind of distribution has its own parameters", () => {
    const written = [
      { kind: "constant", value: "1s" },
      { kind: "uniform", min: "1s", max: "2s" },
      { kind: "normal", mean: "1s", sigma: "100ms" },
      { kind: "exponential", mean: "1s" },
      { kind: "lognormal", median: "1s", sigma: 0 },
      { kind: "pareto", min: "1s", alpha: 0.1 },
    ];
    expect(written.map((one) => v.parse(kinds.durationDistribution, one) as unknown)).toEqual([
      { kind: "constant", value: 1000 },
      { kind: "uniform", min: 1000, max: 2000 },
      { kind: "normal", mean: 1000, sigma: 100 },
      { kind: "exponential", mean: 1000 },
      { kind: "lognormal", median: 1000, sigma: 0 },
      { kind: "pareto", min: 1000, alpha: 0.1 },
    ]);
  });

  test("a distribution with wrong, missing or unknown parameters is refused", () => {
    const wrong = [
      { kind: "lognormal", median: "1s", sigma: -0.1 },
      { kind: "pareto", min: "1s", alpha: 0 },
      { kind: "uniform", min: "1s" },
      { kind: "uniform", min: 1, max: 2 },
      { kind: "gamma", mean: "1s" },
      { kind: "exponential", mean: "1s", sigma: 1 },
      -1,
    ];
    expect(takes(kinds.durationDistribution, wrong)).toEqual([]);
    expect(takes(kinds.countDistribution, [-1, 0, 1])).toEqual([0, 1]);
  });

  test("a value that is neither a number nor a distribution is refused with both ways to write it", () => {
    expect(messageOf(kinds.countDistribution, "x")).toBe(
      'a number, or a distribution such as { kind = "lognormal", … }',
    );
  });
});
