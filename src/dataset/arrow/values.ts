// Values of Arrow columns as JSON, by the type of their column (see src/dataset/value-text.ts). The
// library's own values are not used where they round: times, decimals and texts.

import {
  Binary,
  BinaryView,
  type Data,
  DataType,
  DateUnit,
  LargeBinary,
  TimeUnit,
  type Union,
  Vector,
} from "apache-arrow";
import type { Json } from "../../task/json.ts";
import type { RowSize } from "../row-size.ts";
import {
  bytesText,
  dateText,
  decimalText,
  fraction,
  objectOf,
  textOf,
  timestampText,
  timeText,
  type Unit,
  wholeNumber,
} from "../value-text.ts";

/** Gives the value of a row. Fails with what is wrong with it. */
export type Read = (row: number) => Json;

const DAY_MS = 86_400_000n;

/** A function that reads values of a column, which is named so in errors, and counts their size. */
export function readerOf(data: Data, name: string, size: RowSize): Read {
  const read = valueReader(data, name, size);
  return (row) => (data.getValid(row) ? read(row) : null);
}

function valueReader(data: Data, name: string, size: RowSize): Read {
  const { type } = data;
  if (DataType.isNull(type)) return () => null;
  if (DataType.isDictionary(type)) return dictionaryReader(data, name, size);
  if (DataType.isStruct(type)) return structReader(data, name, size);
  if (DataType.isMap(type)) return mapReader(data, name, size);
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type))
    return listReader(data, name, size);
  if (DataType.isUnion(type)) return unionReader(data, name, size);
  return scalarReader(data, name, size);
}

function scalarReader(data: Data, name: string, size: RowSize): Read {
  const { type, values } = data;
  if (DataType.isInterval(type))
    throw new Error(`the column "${name}" has intervals, which a row cannot hold`);
  const count = (row: number): bigint => BigInt((values as BigInt64Array)[row] ?? 0n);
  if (DataType.isDecimal(type))
    return (row) => decimalText(decimalAt(values as Uint32Array, row, type.bitWidth), type.scale);
  if (DataType.isTimestamp(type)) {
    const [factor, unit] = unitOf(type.unit);
    return (row) => timestampText(count(row) * factor, unit, Boolean(type.timezone));
  }
  if (DataType.isTime(type)) {
    const [factor, unit] = unitOf(type.unit);
    return (row) => timeText(count(row) * factor, unit);
  }
  if (DataType.isDate(type))
    return (row) => dateText(Number(type.unit === DateUnit.DAY ? count(row) : daysOf(count(row))));
  if (DataType.isUtf8(type)) return textReader(data, new Binary(), name, size);
  if (DataType.isLargeUtf8(type)) return textReader(data, new LargeBinary(), name, size);
  if (DataType.isUtf8View(type)) return textReader(data, new BinaryView(), name, size);
  const vector = new Vector([data]);
  return (row) => plain(vector.get(row));
}

function plain(value: unknown): Json {
  if (typeof value === "bigint") return wholeNumber(value);
  if (typeof value === "number") return fraction(value);
  if (value instanceof Uint8Array) return bytesText(value);
  return value as Json;
}

function textReader(
  data: Data,
  bytes: Binary | LargeBinary | BinaryView,
  name: string,
  size: RowSize,
): Read {
  const vector = new Vector([data.clone(bytes) as Data]);
  return (row) => {
    const text = vector.get(row) as Uint8Array;
    size.addBytes(text.length);
    return textOf(text, name);
  };
}

function dictionaryReader(data: Data, name: string, size: RowSize): Read {
  const chunks = data.dictionary?.data ?? [];
  const reads = chunks.map((chunk) => readerOf(chunk, name, size));
  return (row) => {
    let key = Number(data.values[row]);
    for (const [i, chunk] of chunks.entries()) {
      if (key < chunk.length) return reads[i]?.(key) ?? null;
      key -= chunk.length;
    }
    return null;
  };
}

function structReader(data: Data, name: string, size: RowSize): Read {
  const fields = data.type.children ?? [];
  const members = fields.flatMap((field, i) => {
    const child = data.children[i];
    return child === undefined
      ? []
      : [[field.name, readerOf(child, `${name}.${field.name}`, size)] as const];
  });
  return (row) => Object.fromEntries(members.map(([key, read]) => [key, read(row)]));
}

function listReader(data: Data, name: string, size: RowSize): Read {
  const [child] = data.children;
  if (child === undefined) return () => [];
  const read = readerOf(child, name, size);
  const range = rangeOf(data, name, size);
  return (row) => {
    const [start, end] = range(row);
    return Array.from({ length: end - start }, (_, i) => read(start + i));
  };
}

function mapReader(data: Data, name: string, size: RowSize): Read {
  const [key, value] = data.children[0]?.children ?? [];
  if (key === undefined || value === undefined) return () => ({});
  const [readKey, readValue] = [readerOf(key, name, size), readerOf(value, name, size)];
  const range = rangeOf(data, name, size);
  return (row) => {
    const [start, end] = range(row);
    const entry = (_: unknown, i: number) => [readKey(start + i), readValue(start + i)] as const;
    return objectOf(Array.from({ length: end - start }, entry), name);
  };
}

/** The first child of a row, and the one after its last. */
function rangeOf(
  { type, valueOffsets, children: [child] }: Data,
  name: string,
  size: RowSize,
): (row: number) => readonly [number, number] {
  const length = child?.length ?? 0;
  const startOf = DataType.isFixedSizeList(type)
    ? (row: number) => row * type.listSize
    : (row: number) => Number(valueOffsets[row]);
  return (row) => {
    const [start, end] = [startOf(row), startOf(row + 1)];
    if (!(start >= 0 && start <= end && end <= length))
      throw new Error(`a list of "${name}" ends beyond its values: the file is damaged`);
    size.addItems(end - start);
    return [start, end];
  };
}

function unionReader(
  { type, children, typeIds, valueOffsets }: Data,
  name: string,
  size: RowSize,
): Read {
  const reads = children.map((child) => readerOf(child, name, size));
  const { typeIdToChildIndex: indexOf } = type as Union;
  const isDense = DataType.isDenseUnion(type);
  return (row) =>
    reads[indexOf[typeIds[row] ?? 0] ?? 0]?.(isDense ? Number(valueOffsets[row]) : row) ?? null;
}

/** Seconds are given in milliseconds, as Parquet does. */
function unitOf(unit: TimeUnit): readonly [factor: bigint, unit: Unit] {
  switch (unit) {
    case TimeUnit.SECOND:
      return [1000n, "MILLIS"];
    case TimeUnit.MILLISECOND:
      return [1n, "MILLIS"];
    case TimeUnit.MICROSECOND:
      return [1n, "MICROS"];
    case TimeUnit.NANOSECOND:
      return [1n, "NANOS"];
  }
}

function daysOf(ms: bigint): bigint {
  return (ms - (((ms % DAY_MS) + DAY_MS) % DAY_MS)) / DAY_MS;
}

/** A number of several words, the lowest first. */
function decimalAt(words: Uint32Array, row: number, bits: number): bigint {
  const width = bits / 32;
  let value = 0n;
  for (let i = (row + 1) * width - 1; i >= row * width; i--)
    value = (value << 32n) | BigInt(words[i] ?? 0);
  return BigInt.asIntN(bits, value);
}
