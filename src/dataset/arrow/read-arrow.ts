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
import { checkColumns, type NamedColumn } from "../columns.ts";
import { batchesOf, type Row, RowSize } from "../row-size.ts";
import { decodePage } from "../zstd.ts";
import { readerOf } from "./values.ts";

const FILE_MAGIC = "ARROW1";

/** A buffer holds a column of a record batch, whose offsets have 31 bits. */
const BUFFER_BYTES_MAX = 2 ** 30;

/** Bytes of a record batch with the dictionaries before it, and of all dictionaries together. */
const BATCH_BYTES_MAX = 2 * 2 ** 30;

/**
 * The record batch that is being read. The library decodes the buffers of a batch without a pause,
 * so batches of two files are not counted together.
 */
let batch = { bytes: 0, bytesMax: BATCH_BYTES_MAX };

function counted(buffer: Uint8Array): Uint8Array {
  batch.bytes += buffer.length;
  if (batch.bytes > batch.bytesMax) throw new TooLarge("a record batch has", batch.bytesMax);
  return buffer;
}

class TooLarge extends Error {
  constructor(what: string, bytesMax: number) {
    super(
      `${what} more than ${bytesMax / 2 ** 20} MiB; the file is damaged, or has to be written ` +
        "with fewer rows in a batch",
    );
  }
}

compressionRegistry.set(CompressionType.ZSTD, {
  decode: (bytes) => counted(decodePage(bytes, BUFFER_BYTES_MAX)),
});
compressionRegistry.set(CompressionType.LZ4_FRAME, {
  decode: (bytes) => {
    if (Number(decompressBound(bytes)) > BUFFER_BYTES_MAX)
      throw new Error(`a buffer has more than ${BUFFER_BYTES_MAX / 2 ** 20} MiB`);
    return counted(decompress(bytes));
  },
});

/**
 * Batches of rows. A text in the place of a row says what is wrong with it. `columns` names the
 * columns to read; null for all.
 */
export async function* readArrow(
  path: string,
  columns: readonly string[] | null,
  bytesMax = BATCH_BYTES_MAX,
): AsyncGenerator<readonly Row[]> {
  const handle = await open(path);
  try {
    const reader = await readerAt(handle, path);
    await whole(() => reader.open());
    const schema = reader.schema as Schema | undefined;
    if (schema === undefined) damaged("it has no schema");
    else checkColumns(schema.fields.map(namedColumn), columns);
    for (;;) {
      batch = { bytes: 0, bytesMax };
      const next = await whole<IteratorResult<RecordBatch>>(() => reader.next());
      if (next.done === true) return;
      refuseDictionaries(reader, bytesMax);
      yield* rowsOf(next.value, columns);
    }
  } finally {
    await handle.close();
  }
}

/** Dictionaries stay for all batches after them, and grow. */
function refuseDictionaries({ dictionaries }: RecordBatchReader, bytesMax: number): void {
  let bytes = 0;
  for (const { byteLength } of dictionaries.values()) bytes += byteLength;
  if (bytes > bytesMax) throw new TooLarge("its dictionaries have", bytesMax);
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
  if (cause instanceof TooLarge) throw cause;
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
): Generator<readonly Row[]> {
  const size = new RowSize();
  const members = schema.fields.flatMap(({ name }, i) => {
    const column = data.children[i];
    return column === undefined || columns?.includes(name) === false
      ? []
      : [[name, readerOf(column, name, size)] as const];
  });
  const rowAt = (row: number): Row => {
    size.begin();
    try {
      return Object.fromEntries(members.map(([name, read]) => [name, read(row)]));
    } catch (cause) {
      return messageOf(cause);
    }
  };
  yield* batchesOf(numRows, rowAt, size);
}
