import { expect, test } from "bun:test";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parquetMetadata, parquetSchema } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { ColumnReader } from "../../../src/dataset/parquet/column-reader.ts";
import { PageMemory } from "../../../src/dataset/parquet/page-memory.ts";
import { withFolder } from "../../parts/folder.ts";

/** A file whose only row is a list of 100 times 7, in two pages. */
function listOverPages(): Uint8Array<ArrayBuffer> {
  const file = parquetWriteBuffer({
    schema: [
      { name: "root", num_children: 1 },
      { name: "v", repetition_type: "REQUIRED", num_children: 1, converted_type: "LIST" },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
      { name: "element", repetition_type: "REQUIRED", type: "INT64" },
    ],
    columnData: [{ name: "v", data: [Array(50).fill(7n), Array(50).fill(7n)], encoding: "PLAIN" }],
    pageSize: 400,
    codec: "UNCOMPRESSED",
  });
  const bytes = Buffer.from(file);
  // Levels of a page: a 0 begins a row, and the ones after it go on with it.
  const levels = bytes.lastIndexOf(Buffer.from([0b11, 0b11111110]));
  bytes[levels + 1] = 0b11111111;
  return new Uint8Array(file);
}

const rowWith = (bytesMax: number) =>
  withFolder(async (folder) => {
    const bytes = listOverPages();
    const path = join(folder, "d.parquet");
    await writeFile(path, bytes);
    const metadata = parquetMetadata(bytes.buffer);
    const root = parquetSchema(metadata);
    const [node, group] = [root.children[0], metadata.row_groups[0]];
    if (node === undefined || group === undefined) throw new Error("the file has no column");
    await using file = await open(path);
    const memory = new PageMemory(bytesMax);
    return await new ColumnReader({ file, root, memory }, node, group).take(1);
  });

test("a row that goes on over pages holds the memory of all of them", async () => {
  const page = 406 + 50 * 24;
  expect(await rowWith(2 * page)).toEqual([Array(100).fill(7n)]);
  await expect(rowWith(2 * page - 1)).rejects.toThrow(
    'with a page of the column "v.list.element", the values that are read at once take more than',
  );
});
