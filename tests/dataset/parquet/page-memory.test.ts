import { expect, test } from "bun:test";
import { PageMemory } from "../../../src/dataset/parquet/page-memory.ts";

test("the pages and dictionaries of all columns are bounded in sum, and the next page replaces the last", () => {
  const memory = new PageMemory(2 ** 20);
  memory.hold("page", "a", 2 ** 19);
  memory.hold("dictionary", "a", 2 ** 18);
  memory.hold("page", "b", 2 ** 18);
  memory.hold("page", "a", 2 ** 19);
  expect(() => memory.hold("page", "b.c", 1)).toThrow(
    'with a page of the column "b.c", the values that are read at once take more than 1 MiB of ' +
      "memory; the file is damaged, or has to be written with smaller pages and dictionaries",
  );
  const other = new PageMemory(10);
  other.hold("page", "a", 10);
  other.hold("page", "a", 4);
  other.hold("dictionary", "a", 6);
  expect(() => other.hold("dictionary", "a", 7)).toThrow('with a dictionary of the column "a"');
});
