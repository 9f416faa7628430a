import { expect, test } from "bun:test";
import { IdSet } from "../../src/task/id-set.ts";

test("a set of ids knows exactly the entries that were added, also after it has grown", () => {
  const ids = new IdSet();
  for (let row = 0; row < 3000; row++)
    for (let trial = 0; trial < 5; trial++) expect(ids.add(String(row), trial)).toBe(true);
  expect(ids.size).toBe(15_000);
  for (let row = 0; row < 3000; row++)
    for (let trial = 0; trial < 5; trial++) {
      expect(ids.has(String(row), trial)).toBe(true);
      expect(ids.add(String(row), trial)).toBe(false);
    }
  expect(ids.size).toBe(15_000);
  for (let row = 0; row < 3000; row++) expect(ids.has(String(row), 5)).toBe(false);
  expect(ids.has("3000", 0)).toBe(false);
});

test("a set of ids takes an id without a trial as its trial 0", () => {
  const ids = new IdSet();
  ids.add("a");
  expect(ids.has("a", 0)).toBe(true);
  expect(ids.has("a", 1)).toBe(false);
  expect(ids.add("a", 0)).toBe(false);
  ids.add("b", 0);
  expect(ids.has("b")).toBe(true);
  expect(ids.size).toBe(2);
});

test("an empty set of ids has nothing", () => {
  const ids = new IdSet();
  expect(ids.size).toBe(0);
  expect(ids.has("a")).toBe(false);
});

test("a set of ids tells apart two ids that agree in one half of their fingerprints", () => {
  for (const [a, b] of [
    ["40626", "62881"], // the same high half
    ["12023", "41344"], // the same low half
  ] as const) {
    const ids = new IdSet();
    ids.add(a);
    expect([ids.has(b), ids.add(b), ids.add(a), ids.size]).toEqual([false, true, false, 2]);
  }
});
