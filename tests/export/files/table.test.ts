import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  openRows,
  TABLE_ENDINGS,
  type Table,
  tableFormat,
  withConversation,
} from "../../../src/export/files/table.ts";
import { withFolder } from "../../parts/folder.ts";
import { CONVERSATION, formatOptions, selectedOf, written } from "../made.ts";

const PAIRS: Table = {
  about: "two rows for each conversation",
  columns: ({ masked }) => ({ n: "int64", masked: masked ? "bool" : "string" }),
  rowsOf: ({ record }, { masked }) => [1, 2].map((n) => ({ n, masked: masked || record.id })),
};
const pairs = tableFormat(PAIRS);

test("a table format has the default endings and reads conversations", () => {
  expect(pairs).toMatchObject({ endings: TABLE_ENDINGS, reads: "conversations" });
  expect("only" in pairs).toBe(false);
  expect(tableFormat({ ...PAIRS, endings: [".x"], only: "folder" })).toMatchObject({
    endings: [".x"],
    only: "folder",
  });
});

test("a table format counts the rows that it writes, and knows what is masked", async () => {
  const selected = [selectedOf(CONVERSATION, { id: "a" })];
  expect(await written(pairs, selected)).toEqual({
    examples: [2],
    rows: [
      { n: 1, masked: "a" },
      { n: 2, masked: "a" },
    ],
  });
  const masked = await written(pairs, selected, { masked: true, ending: ".parquet" });
  expect(masked.rows).toEqual([
    { n: 1, masked: true },
    { n: 2, masked: true },
  ]);
});

test("a file of rows is Parquet by its ending, and else JSON lines", () =>
  withFolder(async (folder) => {
    for (const [name, begins] of [
      ["a.parquet", "PAR1"],
      ["a.jsonl", '{"n":1}\n'],
    ] as const) {
      const file = await openRows(join(folder, name), { n: "int64" }, formatOptions());
      await file.write({ n: 1 });
      await file.close();
      expect((await readFile(join(folder, name), "latin1")).startsWith(begins)).toBe(true);
    }
  }));

test("a record without a conversation is a bug in a format of conversations", () => {
  expect(withConversation(selectedOf(CONVERSATION)).conversation).toBe(CONVERSATION);
  expect(() => withConversation(selectedOf(null))).toThrow("bug: ");
});
