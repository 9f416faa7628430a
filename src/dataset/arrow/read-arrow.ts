// Rows of Arrow IPC, in the format of files and in that of streams, which `save_to_disk` of the
// `datasets` library writes. Memory holds one record batch.

import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import {
  CompressionType,
  compressionRegistry,
  type Field,
  type RecordBatch,
  RecordBatchReader,
  type Schema,
} from "apache-arrow";
import { decompress, decompressBound } from "lz4js";
import { messageOf } from "../../error.ts";
import type { JsonObject } from "../../task/json.ts";
import { checkColumns, type NamedColumn } from "../columns.ts";
import { decodePage } from "../zstd.ts";
import { RowSize } from "./row-size.ts";
import { readerOf } from "./values.ts";

const BATCH_ROWS = 256;
const FILE_MAGIC = "ARROW1";

/** A buffer holds a column of a record batch, whose offsets have 31 bits. */
const BUFFER_BYTES_MAX = 2 ** 30;

compressionRegistry.set(CompressionType.ZSTD, {
  decode: (bytes) => decodePage(bytes, BUFFER_BYTES_MAX),
});
compressionRegistry.set(CompressionType.LZ4_FRAME, {
  decode: (bytes) => {
    if (Number(decompressBound(bytes)) > BUFFER_BYTES_MAX)
      throw new Error(`a buffer has more than ${BUFFER_BYTES_MAX / 2 ** 20} MiB`);
    return decompress(bytes);
  },
});

/**
 * Batches of rows. A text in the place of a row says what is wrong with it. `columns` names the
 * columns to read; null for all.
 */
export async function* readArrow(
  path: string,
  columns: readonly string[] | null,
): AsyncGenerator<readonly (JsonObject | string)[]> {
  const handle = await open(path);
  try {
    const reader = await readerAt(handle, path);
    await whole(() => reader.open());
    const schema = reader.schema as Schema | undefined;
    if (schema === undefined) damaged("it has no schema");
    else checkColumns(schema.fields.map(namedColumn), columns);
    for (;;) {
      const next = await whole<IteratorResult<RecordBatch>>(() => reader.next());
      if (next.done === true) return;
      yield* rowsOf(next.value, columns);
    }
  } finally {
    await handle.close();
  }
}

async function readerAt(handle: FileHandle, path: string): Promise<RecordBatchReader> {
  const magic = Buffer.alloc(FILE_MAGIC.length);
  await handle.read(magic, 0, magic.length, 0);
  return magic.toString("latin1") === FILE_MAGIC
    ? RecordBatchReader.from(handle)
    : RecordBatchReader.from(createReadStream(path));
}

async function whole<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    return damaged(cause);
  }
}

function damaged(cause: unknown): never {
  throw new Error(`the file is not Arrow IPC, damaged or cut short: ${messageOf(cause)}`, {
    cause,
  });
}

function namedColumn({ name, type }: Field): NamedColumn {
  return { name, parts: (type.children ?? []).map(namedColumn) };
}

function* rowsOf(
  { data, numRows, schema }: RecordBatch,
  columns: readonly string[] | null,
): Generator<readonly (JsonObject | string)[]> {
  const size = new RowSize();
  const members = schema.fields.flatMap(({ name }, i) => {
    const column = data.children[i];
    return column === undefined || columns?.includes(name) === false
      ? []
      : [[name, readerOf(column, name, size)] as const];
  });
  const rowAt = (row: number): JsonObject | string => {
    size.begin();
    try {
      return Object.fromEntries(members.map(([name, read]) => [name, read(row)]));
    } catch (cause) {
      return messageOf(cause);
    }
  };
  for (let from = 0; from < numRows; from += BATCH_ROWS)
    yield Array.from({ length: Math.min(BATCH_ROWS, numRows - from) }, (_, i) => rowAt(from + i));
}
