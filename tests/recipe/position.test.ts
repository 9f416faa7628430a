// Where keys and values stand in a TOML file, by line and column from 1.

import { expect, test } from "bun:test";
import { positionsOf } from "../../src/recipe/position.ts";

const TEXT = `name = "a"
[run]
seed = 1
budget.money = 5
[roles."x.y"]
conversation = ["a", [
  "b"]]
with = { n = 1, deep = { m = 2 } }
[[list]]
k = 1
[[list]]
k = 2
`;

const at = (path: string, text = TEXT) => {
  const found = positionsOf(text).get(path);
  return found === undefined
    ? null
    : [found.key.line, found.key.column, found.value.line, found.value.column];
};

test("a key and its value have their own positions", () => {
  expect(at("name")).toEqual([1, 1, 1, 8]);
  expect(at("run.seed")).toEqual([3, 1, 3, 8]);
  expect(at('roles."x.y".with')).toEqual([8, 1, 8, 8]);
});

test("a table is placed by its header, or by the first dotted key in it", () => {
  expect(at("run")).toEqual([2, 2, 2, 2]);
  expect(at("run.budget")).toEqual([4, 1, 4, 1]);
  expect(at("run.budget.money")).toEqual([4, 8, 4, 16]);
  expect(at("a.b.c", "a.b.c = 1\n")).toEqual([1, 5, 1, 9]);
  expect(at("roles")).toEqual([5, 2, 5, 2]);
  expect(at('roles."x.y"')).toEqual([5, 2, 5, 2]);
});

test("elements of lists and keys of inline tables have positions at every depth", () => {
  expect(at('roles."x.y".conversation.0')).toEqual([6, 17, 6, 17]);
  expect(at('roles."x.y".conversation.1.0')).toEqual([7, 3, 7, 3]);
  expect(at('roles."x.y".with.n')).toEqual([8, 10, 8, 14]);
  expect(at('roles."x.y".with.deep.m')).toEqual([8, 26, 8, 30]);
});

test("tables of a list are told apart by their index", () => {
  expect(at("list.0.k")).toEqual([10, 1, 10, 5]);
  expect(at("list.1.k")).toEqual([12, 1, 12, 5]);
  expect(at("list.1")).toEqual([11, 3, 11, 3]);
});

test("a header that comes after a dotted key does not move the table that the key placed", () => {
  expect(at("a", "a.b = 1\n[a.c]\nd = 1\n")).toEqual([1, 1, 1, 1]);
  expect(at("a.c", "a.b = 1\n[a.c]\nd = 1\n")).toEqual([2, 2, 2, 2]);
});

test("a table keeps its first dotted key as its place, and its own header replaces that", () => {
  expect(at("a", "a.b = 1\na.c = 2\n")).toEqual([1, 1, 1, 1]);
  expect(at("a", "[a.b]\nx = 1\n[a]\ny = 2\n")).toEqual([3, 2, 3, 2]);
});

test("a text that does not parse has no positions", () => {
  expect(positionsOf("a = ").size).toBe(0);
});
