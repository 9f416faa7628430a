// A problem as text: place, key, message, suggestion, and the line with a caret, but never a
// secret.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  formatProblem,
  formatProblems,
  mayHoldSecret,
  recipeInvalid,
} from "../../src/recipe/problem.ts";
import { withFolder } from "../parts/folder.ts";

const inFile = (name: string, text: string, line: number, column?: number, key = "run.x") =>
  withFolder(async (folder) => {
    const file = join(folder, name);
    await writeFile(file, text);
    const place = column === undefined ? { line } : { line, column };
    return formatProblem({ file, ...place, key, message: "wrong" }).replaceAll(`${folder}/`, "");
  });

test("a problem names its place, key, message and suggestion, as far as they are known", () => {
  expect(formatProblem({ message: "wrong" })).toBe("wrong");
  expect(formatProblem({ key: "a.b", message: "wrong", suggestion: "right" })).toBe(
    'a.b: wrong; did you mean "right"?',
  );
  expect(formatProblem({ file: "f", key: "", message: "wrong" })).toBe("f: wrong");
});

test("the line is shown with a caret under its column, and tabs stay tabs", async () => {
  expect(await inFile("r.toml", "a\n\tx = 1\n", 2, 4)).toBe(
    "r.toml:2:4: run.x: wrong\n2 | \tx = 1\n  | \t  ^",
  );
  expect(await inFile("r.toml", `${"\n".repeat(9)}abc\n`, 10, 1)).toBe(
    "r.toml:10:1: run.x: wrong\n10 | abc\n   | ^",
  );
});

test("a line without a column is shown without a caret", async () => {
  expect(await inFile("r.toml", "\uFEFFx = 1\r\ny = 2\r\n", 1)).toBe(
    "r.toml:1: run.x: wrong\n1 | x = 1",
  );
});

test("lines are shown of recipes, prompts, modules and programs only", async () => {
  for (const name of [
    "a.toml",
    "a.md",
    "a.ts",
    "a.mjs",
    "a.cts",
    "a.txt",
    "a.jinja",
    "a.jinja2",
    "a.py",
  ])
    expect(await inFile(name, "x", 1)).toBe(`${name}:1: run.x: wrong\n1 | x`);
  for (const name of ["a.jsonl", "a.csv", "toml"])
    expect(await inFile(name, "x", 1)).toBe(`${name}:1: run.x: wrong`);
});

test("a long line, and a line or file that does not exist, are not shown", async () => {
  expect(await inFile("r.toml", "x".repeat(160), 1)).toContain("xxx");
  expect(await inFile("r.toml", "x".repeat(161), 1)).not.toContain("xxx");
  expect(await inFile("r.toml", "x", 3)).toBe("r.toml:3: run.x: wrong");
  expect(formatProblem({ file: "/nowhere/r.toml", line: 1, message: "wrong" })).toBe(
    "/nowhere/r.toml:1: wrong",
  );
});

test("a line that may hold a secret is not shown, whatever its key", async () => {
  for (const line of [
    'api_key = "k"',
    'apikey = "k"',
    'api-key = "k"',
    'Authorization = "k"',
    'x = "Bearer k"',
    'password = "k"',
    "headers = {}",
    'my_secret = "k"',
    'token = "k"',
    'access-token = "k"',
    'base_url = "http://user:pw@a/v1"',
    'base_url = "http://pw@a/v1"',
    'base_url = "http://a/v1?sig=abc"',
  ])
    expect(await inFile("r.toml", line, 1, 1)).toBe("r.toml:1:1: run.x: wrong");
  expect(await inFile("r.toml", "k", 1, 1, "models.m.api_key")).not.toContain("| k");
});

test("words that only contain token, and small numbers, are not taken for secrets", () => {
  expect(mayHoldSecret("run.x", 'base_url = "http://a/v1?api-version=1"')).toBe(false);
  for (const line of ["tokens_per_second = 50", "max_tokens = 512", "token = 123456789"])
    expect(mayHoldSecret("run.x", line)).toBe(false);
  expect(mayHoldSecret("run.x", "token = 1234567890")).toBe(true);
  expect(mayHoldSecret(undefined, "x = 1")).toBe(false);
  expect(mayHoldSecret("models.m.headers.X", "x = 1")).toBe(true);
});

const at = (line: number, key: string, message: string) => ({ file: "r.toml", line, key, message });

test("problems that are alike are shown once from three on, with their number and places", () => {
  const roles = Array.from({ length: 20 }, (_, index) => at(index, `roles.r${index}.modle`, "bad"));
  expect(formatProblems(roles)).toEqual([
    {
      isPlaced: true,
      text:
        "r.toml:0: roles.r0.modle: bad\nthe same at 19 other places: roles.r1.modle, " +
        "roles.r2.modle, roles.r3.modle, roles.r4.modle, roles.r5.modle, and 14 more",
    },
  ]);
  expect(formatProblems(roles.slice(0, 3))[0]?.text).toEndWith(
    "\nthe same at 2 other places: roles.r1.modle, roles.r2.modle",
  );
  expect(formatProblems(roles.slice(0, 2)).map(({ text }) => text)).toEqual([
    "r.toml:0: roles.r0.modle: bad",
    "r.toml:1: roles.r1.modle: bad",
  ]);
});

test("problems with the same words about different keys are all shown, in their order", () => {
  const missing = ["name", "dataset", "roles", "orchestrator"].map((key) => at(1, key, "missing"));
  expect(formatProblems(missing)).toHaveLength(4);
  const keys = ["base_url", "model", "kind"].map((key) => at(1, `models.m.${key}`, "missing"));
  expect(formatProblems(keys)).toHaveLength(3);
  const models = ["m", "n", "o"].map((key) => at(1, `models.${key}`, "idle"));
  expect(formatProblems([...models, at(2, "run", "other")]).map(({ text }) => text)).toEqual([
    "r.toml:1: models.m: idle\nthe same at 2 other places: models.n, models.o",
    "r.toml:2: run: other",
  ]);
});

test("a problem without a key or a file is shown by what it has", () => {
  const lines = [1, 2, 3].map((line) => ({ file: "d.jsonl", line, message: "not JSON" }));
  expect(formatProblems(lines)).toEqual([
    {
      isPlaced: true,
      text: "d.jsonl:1: not JSON\nthe same at 2 other places: d.jsonl:2, d.jsonl:3",
    },
  ]);
  expect(formatProblems([{ message: "x" }])).toEqual([{ isPlaced: false, text: "x" }]);
});

test("the error of a recipe counts its problems, and its doubts apart", () => {
  const one = { message: "x" };
  expect(recipeInvalid("r", [one]).message).toBe("r: 1 problem");
  expect(recipeInvalid("r", [one, one], [one]).message).toBe("r: 2 problems, and 1 doubt");
  expect(recipeInvalid("r", [one], [one, one])).toMatchObject({
    message: "r: 1 problem, and 2 doubts",
    problems: [one, one, one],
  });
});
