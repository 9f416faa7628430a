// Rows of a Parquet file, in batches.

import { type FileHandle, open } from "node:fs/promises";
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
} from "hyparquet";
import { messageOf } from "../../error.ts";
import { checkColumns, type NamedColumn } from "../columns.ts";
import { batchesOf, type Row, RowSize } from "../row-size.ts";
import { ColumnReader } from "./column-reader.ts";
import { PageMemory } from "./page-memory.ts";
import { type Convert, converterOf, rawSchema } from "./values.ts";

/** Rows of a row group that are taken at once; large rows are taken in smaller numbers. */
const TAKEN_ROWS = 256;
const TAKEN_BYTES = 4 * 2 ** 20;

interface Column {
  readonly name: string;
  /** Its schema, with which values are read. */
  readonly node: SchemaTree;
  readonly convert: Convert;
}

/**
 * Batches of rows. A text in the place of a row says what is wrong with it. `columns` names the
 * columns to read; null for all. Rows have them in the order of the file.
 */
export async function* readParquet(
  path: string,
  columns: readonly string[] | null,
): AsyncGenerator<readonly Row[]> {
  const file = await open(path);
  try {
    const metadata = await metadataOf(file);
    const root = parquetSchema({ ...metadata, schema: rawSchema(metadata.schema) });
    const chosen = chooseColumns(metadata, root, columns);
    for (const group of metadata.row_groups) {
      const memory = new PageMemory();
      const readers = chosen.map(
        ({ node }) => new ColumnReader({ file, root, memory }, node, group),
      );
      const size = new RowSize();
      const most = takenRows(group);
      for (let left = Number(group.num_rows); left > 0; left -= most) {
        const count = Math.min(left, most);
        const values: ArrayLike<unknown>[] = [];
        for (const reader of readers) values.push(await reader.take(count));
        yield* batchesOf(count, (i) => rowOf(chosen, values, i, size), size);
      }
    }
  } finally {
    await file.close();
  }
}

async function metadataOf(file: FileHandle): Promise<FileMetaData> {
  const buffer = await bufferOf(file);
  try {
    return await parquetMetadataAsync(buffer, { geoparquet: false });
  } catch (cause) {
    throw new Error(`the file is not Parquet, damaged or cut short: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function takenRows({ num_rows: rows, total_byte_size: bytes }: RowGroup): number {
  const fitting = Math.floor((Number(rows) * TAKEN_BYTES) / Math.max(Number(bytes), 1));
  return Math.min(Math.max(fitting, 1), TAKEN_ROWS);
}

function rowOf(
  columns: readonly Column[],
  values: readonly ArrayLike<unknown>[],
  i: number,
  size: RowSize,
): Row {
  size.begin();
  try {
    for (const column of values) size.addValue(column[i]);
    return Object.fromEntries(
      columns.map(({ name, convert }, c) => [name, convert(values[c]?.[i])]),
    );
  } catch (cause) {
    return messageOf(cause);
  }
}

function chooseColumns(
  metadata: FileMetaData,
  { children }: SchemaTree,
  columns: readonly string[] | null,
): Column[] {
  const described = parquetSchema(metadata);
  checkColumns(described.children.map(namedColumn), columns);
  return described.children.flatMap((description, i) => {
    const { name } = description.element;
    const node = children[i];
    return node !== undefined && (columns === null || columns.includes(name))
      ? [{ name, node, convert: converterOf(description) }]
      : [];
  });
}

function namedColumn({ element, children }: SchemaTree): NamedColumn {
  return { name: element.name, parts: children.map(namedColumn) };
}

async function bufferOf(file: FileHandle): Promise<AsyncBuffer> {
  const { size } = await file.stat();
  return {
    byteLength: size,
    slice: async (start, end = size) => {
      const bytes = new Uint8Array(end - start);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
      if (bytesRead < bytes.length) throw new Error("the file is cut short");
      return bytes.buffer;
    },
  };
}
