import { expect, test } from "bun:test";
import { RowIndex } from "../../src/dataset/row-index.ts";

function indexOf(rows: number): RowIndex {
  const index = new RowIndex();
  for (let i = 0; i < rows; i++) index.add(i % 7, i * 2 ** 33, i * 3, i * 5);
  return index;
}

test.each([0, 1, 1023, 1024, 1025, 5000])("an index of %p rows has the place of each", (rows) => {
  const index = indexOf(rows);
  expect(index.size).toBe(rows);
  for (let i = 0; i < rows; i++)
    expect(index.at(i)).toEqual({ file: i % 7, offset: i * 2 ** 33, bytes: i * 3, number: i * 5 });
});

test("the order of a seed is the same in every version", () => {
  expect([...indexOf(10).permutation(1)]).toEqual([6, 2, 0, 1, 4, 5, 9, 7, 3, 8]);
  expect([...indexOf(10).permutation(2)]).toEqual([8, 5, 6, 1, 9, 7, 2, 0, 4, 3]);
});

test("an order has every position once", () => {
  const order = [...indexOf(3000).permutation(4)];
  expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 3000 }, (_, i) => i));
});

test("every order of three rows is as likely as another", () => {
  const counts: Record<string, number> = {};
  for (let seed = 0; seed < 6000; seed++) {
    const order = indexOf(3).permutation(seed).join();
    counts[order] = (counts[order] ?? 0) + 1;
  }
  expect(Object.keys(counts)).toHaveLength(6);
  for (const count of Object.values(counts)) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
