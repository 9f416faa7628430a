import { expect, test } from "bun:test";
import { RowSize } from "../../../src/dataset/arrow/row-size.ts";

test("a row may have as many bytes as the limit says, and each value of a list counts eight", () => {
  const size = new RowSize(2 ** 20);
  size.addBytes(2 ** 20 - 16);
  size.addItems(2);
  expect(() => size.addBytes(1)).toThrow("the row has more than the 1 MiB that a row may have");
  size.begin();
  size.addItems(2 ** 17);
  expect(() => size.addItems(1)).toThrow("the row has more than the 1 MiB that a row may have");
});
