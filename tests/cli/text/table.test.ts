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
