// The order of a list of records.

import { expect, test } from "bun:test";
import type { SortKey } from "../../../src/view/api.ts";
import { ordered } from "../../../src/view/table/order.ts";
import { type Row, tableOf } from "../parts/table.ts";

async function order(
  rows: readonly Row[],
  sort: SortKey,
  descending = false,
  own: readonly string[] = [],
): Promise<readonly number[]> {
  const all = Uint32Array.from(rows, (_, n) => n);
  return [...(await ordered(tableOf(rows, own), all, sort, descending))];
}

test("the order of the file can be turned round", async () => {
  const rows = [{}, {}, {}];
  expect(await order(rows, "n")).toEqual([0, 1, 2]);
  expect(await order(rows, "n", true)).toEqual([2, 1, 0]);
});

test("records without a score come last in both directions", async () => {
  const rows = [{ score: 0.5 }, {}, { score: 1 }, { score: -1 }];
  expect(await order(rows, "score")).toEqual([3, 0, 2, 1]);
  expect(await order(rows, "score", true)).toEqual([2, 0, 3, 1]);
});

test("every column of numbers has its own order", async () => {
  const rows = [
    { trial: 2, turns: 1, tokens: 9, cost: 5, ms: 7, ended: 3 },
    { trial: 1, turns: 2, tokens: 8, cost: 6, ms: 8, ended: 2 },
  ];
  for (const sort of ["trial", "tokens", "ended"] as const)
    expect([sort, await order(rows, sort)]).toEqual([sort, [1, 0]]);
  for (const sort of ["turns", "cost", "ms"] as const)
    expect([sort, await order(rows, sort)]).toEqual([sort, [0, 1]]);
});

test("texts have the order of the alphabet, and no error comes last", async () => {
  const rows = [{ error: "z" }, {}, { error: "a" }];
  expect(await order(rows, "error")).toEqual([2, 0, 1]);
  expect(await order(rows, "error", true)).toEqual([0, 2, 1]);
  const ends = [
    { status: "ok", stop: "stopped" },
    { status: "failed", stop: "timeout" },
  ];
  expect(await order(ends, "status")).toEqual([1, 0]);
  expect(await order(ends, "stop")).toEqual([0, 1]);
});

test("ids that begin alike are told apart by what follows, however long it is", async () => {
  const ids = ["row-0000010", "row-0000009", "row-00000090", "row-0000009", "rom", "row-é"];
  const rows = ids.map((id) => ({ id }));
  expect(await order(rows, "id")).toEqual([4, 1, 3, 2, 0, 5]);
  expect(await order(rows, "id", true)).toEqual([5, 0, 2, 1, 3, 4]);
});

test("ids that differ only behind their first bytes are told apart", async () => {
  const rows = ["a", "b12345678", "b12345679", "b12345677"].map((id) => ({ id }));
  expect(await order(rows, "id")).toEqual([0, 3, 1, 2]);
});

test("an own column has numbers before texts, and records without a value last", async () => {
  const rows = ["b", 2, null, true, "a", 10].map((cell) => ({ cells: [cell] }));
  expect(await order(rows, "col.topic", false, ["topic"])).toEqual([3, 1, 5, 4, 0, 2]);
  expect(await order(rows, "col.topic", true, ["topic"])).toEqual([0, 4, 5, 1, 3, 2]);
});
