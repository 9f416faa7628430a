import { expect, test } from "bun:test";
import { batchesOf, RowSize } from "../../src/dataset/row-size.ts";

test("a row may have as many bytes as the limit says, and each value of a list counts eight", () => {
  const size = new RowSize(2 ** 20);
  size.addBytes(2 ** 20 - 16);
  size.addItems(2);
  expect(() => size.addBytes(1)).toThrow("the row has more than the 1 MiB that a row may have");
  size.begin();
  size.addItems(2 ** 17);
  expect(() => size.addItems(1)).toThrow("the row has more than the 1 MiB that a row may have");
});

test("a value counts its texts and bytes, and its lists and objects count what they hold", () => {
  const size = new RowSize();
  const bytesOf = (value: unknown) => {
    size.begin();
    size.addValue(value);
    return size.bytes;
  };
  expect(bytesOf("four")).toBe(4);
  expect(bytesOf(new Uint8Array(5))).toBe(5);
  expect([bytesOf(null), bytesOf(undefined), bytesOf(1n), bytesOf(true)]).toEqual([8, 8, 8, 8]);
  expect(bytesOf(["abc", ["d"], 1])).toBe(3 * 8 + 3 + 8 + 1 + 8);
  expect(bytesOf({ a: "abc", b: ["d"] })).toBe(3 + 8 + 1);
  const small = new RowSize(2 ** 20);
  expect(() => small.addValue({ a: Array(2 ** 11).fill("x".repeat(2 ** 10)) })).toThrow("1 MiB");
});

test("a batch has 256 rows at most, and ends with the row that fills 4 MiB", () => {
  const size = new RowSize();
  const lengths = (count: number, bytes: (row: number) => number) => {
    const rowAt = (row: number) => {
      size.begin();
      size.addBytes(bytes(row));
      return `${row}`;
    };
    return [...batchesOf(count, rowAt, size)].map(({ length }) => length);
  };
  expect(lengths(0, () => 1)).toEqual([]);
  expect(lengths(256, () => 1)).toEqual([256]);
  expect(lengths(513, () => 1)).toEqual([256, 256, 1]);
  expect(lengths(5, () => 2 ** 21)).toEqual([2, 2, 1]);
  expect(lengths(5, () => 2 ** 21 - 1)).toEqual([3, 2]);
});
