// Rows of a Parquet file, read one row group at a time, so that memory holds the largest group and
// not the file. Values become JSON: a whole number that JSON cannot hold exactly becomes text, a
// time becomes RFC 3339, and bytes become text if they are UTF-8 and base64 if they are not.

import { isUtf8 } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import {
  type AsyncBuffer,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";

/**
 * Batches of rows, one for each row group. `columns` names the columns to read; null for all. Rows
 * have them in the order of the file.
 */
export async function* readParquet(
  path: string,
  columns: readonly string[] | null,
): AsyncGenerator<readonly JsonObject[]> {
  const handle = await open(path);
  try {
    const file = await bufferOf(handle);
    const metadata = await parquetMetadataAsync(file);
    const names = parquetSchema(metadata).children.map(({ element }) => element.name);
    const missing = columns?.find((column) => !names.includes(column));
    if (missing !== undefined)
      throw new Error(`the file has no column "${missing}"; columns: ${names.join(", ")}`);
    let rowStart = 0;
    for (const { num_rows: rows } of metadata.row_groups) {
      const rowEnd = rowStart + Number(rows);
      const selection = columns === null ? {} : { columns: [...columns] };
      const read = await parquetReadObjects({
        file,
        metadata,
        rowStart,
        rowEnd,
        compressors,
        utf8: false,
        ...selection,
      });
      yield read.map((row) => jsonOf(row) as JsonObject);
      rowStart = rowEnd;
    }
  } finally {
    await handle.close();
  }
}

async function bufferOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    slice: async (start, end = size) => {
      const bytes = new ArrayBuffer(end - start);
      for (let at = 0; at < bytes.byteLength; ) {
        const { bytesRead } = await handle.read(
          new Uint8Array(bytes),
          at,
          bytes.byteLength - at,
          start + at,
        );
        if (bytesRead === 0) throw new Error("the file is cut short");
        at += bytesRead;
      }
      return bytes;
    },
  };
}

function jsonOf(value: unknown): Json {
  switch (typeof value) {
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case "number":
      // JSON has neither NaN nor infinities.
      return Number.isFinite(value) ? value : null;
    case "string":
    case "boolean":
      return value;
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array)
    return textOf(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, jsonOf);
  if (Array.isArray(value)) return value.map(jsonOf);
  if (isJsonObject(value))
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, jsonOf(part)]));
  return null;
}

function textOf(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? "utf8" : "base64");
}
