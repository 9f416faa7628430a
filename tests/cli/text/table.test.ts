// Tables in plain text.

import { expect, test } from "bun:test";
import { renderTable } from "../../../src/cli/text/table.ts";

const ROWS = [["role", "n", "cost"], ["a", "1,000", "-"], ["teacher"]];

test("the first column stands at the left and the others at the right, two spaces apart", () => {
  expect(renderTable(ROWS).split("\n")).toEqual([
    "role         n  cost",
    "a        1,000     -",
    "teacher",
  ]);
});

test("columns that are named stand at the left, and no line ends with spaces", () => {
  expect(renderTable(ROWS, (column) => column !== 1).split("\n")).toEqual([
    "role         n  cost",
    "a        1,000  -",
    "teacher",
  ]);
});

test("a table without rows is empty", () => {
  expect(renderTable([])).toBe("");
});

test("a table of 200,000 rows has columns as wide as its widest cells", () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => ["a", String(i)]);
  const lines = renderTable(rows).split("\n");
  expect([lines[0], lines.at(-1)]).toEqual(["a       0", "a  199999"]);
});
