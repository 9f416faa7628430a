// The table of sums over the trials of rows.

import { expect, test } from "bun:test";
import { RowTable } from "../../../src/cli/text/row-table.ts";

const one = (sum: number) => ({ scored: 1, successes: sum === 1 ? 1 : 0, sum });

test("the sums of a row add up, apart from those of other rows", () => {
  const table = new RowTable();
  for (const [id, sum] of [
    ["a", 1],
    ["b", 0.25],
    ["a", 0.5],
    ["", 1],
  ] as const)
    table.add(id, one(sum));
  table.add("c", { scored: 0, successes: 0, sum: 0 });
  const rows = [...table.rows()].sort((a, b) => a.scored - b.scored || a.sum - b.sum);
  expect(rows).toEqual([
    { scored: 0, successes: 0, sum: 0 },
    { scored: 1, successes: 0, sum: 0.25 },
    { scored: 1, successes: 1, sum: 1 },
    { scored: 2, successes: 1, sum: 1.5 },
  ]);
});

test("a table of any size has every row once", () => {
  for (let size = 1; size < 200; size++) {
    const table = new RowTable();
    for (let row = 0; row < size; row++) table.add(`${size}/${row}`, one(row));
    const sums = [...table.rows()].map(({ sum }) => sum).sort((a, b) => a - b);
    expect(sums).toEqual(Array.from({ length: size }, (_, row) => row));
  }
});

test("a table that grows keeps every row", () => {
  const table = new RowTable();
  expect([...table.rows()]).toEqual([]);
  for (let trial = 0; trial < 3; trial++)
    for (let row = 0; row < 10_000; row++) table.add(`row-${row}`, one(row));
  const sums = [...table.rows()].map(({ sum }) => sum).sort((a, b) => a - b);
  expect(sums).toEqual(Array.from({ length: 10_000 }, (_, row) => row * 3));
  expect([...table.rows()].every(({ scored }) => scored === 3)).toBe(true);
});
