import { expect, test } from "bun:test";
import type { TableRow } from "../../../src/export/contract.ts";
import { wellFormedRow } from "../../../src/export/files/well-formed.ts";

function mended(row: TableRow): { row: TableRow; counts: unknown[] } {
  const counts: unknown[] = [];
  return { row: wellFormedRow(row, { omit: (...count) => void counts.push(count) }), counts };
}

test("a row of whole characters is given as it is", () => {
  const row = { a: "😀", b: [1n, null, true, { c: "é" }] };
  const { row: same, counts } = mended(row);
  expect(same).toBe(row);
  expect(counts).toEqual([]);
});

test("halves of characters are replaced in texts and keys at any depth, and counted once a row", () => {
  const row = { a: "x\ud83d", b: [1, { "\ude00k": ["\ud83d\ude00", "\ude00\ud83d"] }], c: 5n };
  expect(mended(row)).toEqual({
    row: { a: "x\ufffd", b: [1, { "\ufffdk": ["😀", "\ufffd\ufffd"] }], c: 5n },
    counts: [["lone_surrogates", 1]],
  });
});

test("half of a character in a key alone is replaced and counted", () => {
  expect(mended({ a: [{ "k\ud83d": "v" }] })).toEqual({
    row: { a: [{ "k\ufffd": "v" }] },
    counts: [["lone_surrogates", 1]],
  });
});
