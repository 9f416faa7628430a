// Values of Parquet as JSON, by the schema of their column (see src/dataset/value-text.ts).

import type { SchemaElement, SchemaTree } from "hyparquet";
import { messageOf } from "../../error.ts";
import { isTooDeep } from "../../task/depth.ts";
import { parseJson } from "../../task/exact.ts";
import type { Json } from "../../task/json.ts";
import { repeatedKey } from "../repeated-key.ts";
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

export type Convert = (value: unknown) => Json;

/**
 * The schema with which values are read. It keeps the library from rounding decimals, and from
 * losing keys of maps that JavaScript would take for one.
 */
export function rawSchema(schema: readonly SchemaElement[]): SchemaElement[] {
  return schema.map((element) => {
    const { converted_type: converted, ...rest } = element;
    if (isList(element)) return { ...rest, converted_type: "LIST" };
    return converted === undefined || isDecimal(element) || isMap(element)
      ? rest
      : { ...rest, converted_type: converted };
  });
}

/** A function that makes JSON of the values that the library gives for a column. */
export function converterOf(node: SchemaTree): Convert {
  const one = nullable(elementConverter(node));
  return node.element.repetition_type === "REPEATED" ? listOf(one) : one;
}

function elementConverter(node: SchemaTree): Convert {
  const { element, children } = node;
  const [child] = children;
  if (child === undefined) return leafConverter(element);
  if (isMap(element)) return mapConverter(node, child);
  if (isList(element) && children.length === 1) {
    // A list has three levels, or two in old files.
    const [item] = child.children;
    return listOf(
      child.children.length === 1 && item !== undefined
        ? converterOf(item)
        : nullable(elementConverter(child)),
    );
  }
  const members = children.map((part) => [part.element.name, converterOf(part)] as const);
  return (value) =>
    Object.fromEntries(
      members.map(([name, convert]) => [name, convert((value as Record<string, unknown>)[name])]),
    );
}

function mapConverter(node: SchemaTree, entries: SchemaTree): Convert {
  const [key, item] = entries.children.map(converterOf);
  const [keyName = "", itemName = ""] = entries.children.map(({ element }) => element.name);
  return (value) => {
    const list = (value as Record<string, unknown>)[entries.element.name];
    const pairs = (list as readonly Record<string, unknown>[]).map((entry) => {
      return [key?.(entry[keyName]) ?? null, item?.(entry[itemName]) ?? null] as const;
    });
    return objectOf(pairs, node.path.join("."));
  };
}

function nullable(convert: Convert): Convert {
  return (value) => (value === null || value === undefined ? null : convert(value));
}

function listOf(convert: Convert): Convert {
  return (value) => Array.from(value as ArrayLike<unknown>, convert);
}

function leafConverter(element: SchemaElement): Convert {
  const { type, converted_type: converted, logical_type: logical, name } = element;
  if (isDecimal(element)) return decimalConverter(element);
  if (converted === "DATE" || logical?.type === "DATE") return (value) => dateText(Number(value));
  if (logical?.type === "TIMESTAMP")
    return timestampConverter(logical.unit, logical.isAdjustedToUTC);
  if (logical?.type === "TIME") return (value) => timeText(value as bigint, logical.unit);
  if (type === "INT96") return timestampConverter("NANOS", false);
  switch (converted) {
    case "TIMESTAMP_MILLIS":
      return timestampConverter("MILLIS", true);
    case "TIMESTAMP_MICROS":
      return timestampConverter("MICROS", true);
    case "TIME_MILLIS":
      return (value) => timeText(value as number, "MILLIS");
    case "TIME_MICROS":
      return (value) => timeText(value as bigint, "MICROS");
    case "UINT_64":
      return (value) => wholeNumber(BigInt.asUintN(64, value as bigint));
    case "JSON":
      return (value) => jsonCell(textOf(value as Uint8Array, name), name);
  }
  if (converted === "UTF8" || logical?.type === "STRING")
    return (value) => (typeof value === "string" ? value : textOf(value as Uint8Array, name));
  return plain;
}

function jsonCell(text: string, column: string): Json {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw new Error(`the column "${column}" holds no JSON: ${messageOf(cause)}`, { cause });
  }
  const twice = isTooDeep(value) ? null : repeatedKey(text, value);
  if (twice === null) return value as Json;
  throw new Error(`the JSON of the column "${column}" has the key "${twice}" twice in one object`);
}

function plain(value: unknown): Json {
  switch (typeof value) {
    case "bigint":
      return wholeNumber(value);
    case "number":
      return fraction(value);
    case "string":
    case "boolean":
      return value;
  }
  return value instanceof Uint8Array ? bytesText(value) : (value as Json);
}

function decimalConverter({ scale, logical_type: logical }: SchemaElement): Convert {
  const digits = logical?.type === "DECIMAL" ? logical.scale : (scale ?? 0);
  return (value) =>
    decimalText(value instanceof Uint8Array ? signed(value) : BigInt(value as number), digits);
}

function timestampConverter(unit: Unit, isUtc: boolean): Convert {
  return (value) => timestampText(BigInt(value as number | bigint), unit, isUtc);
}

/** The number of big-endian bytes in two's complement. */
function signed(value: Uint8Array): bigint {
  if (value.length === 0) return 0n;
  return BigInt.asIntN(value.length * 8, BigInt(`0x${Buffer.from(value).toString("hex")}`));
}

function isDecimal({ converted_type: converted, logical_type: logical }: SchemaElement): boolean {
  return converted === "DECIMAL" || logical?.type === "DECIMAL";
}

function isList({ converted_type: converted, logical_type: logical }: SchemaElement): boolean {
  return converted === "LIST" || logical?.type === "LIST";
}

function isMap({ converted_type: converted, logical_type: logical }: SchemaElement): boolean {
  return converted === "MAP" || converted === "MAP_KEY_VALUE" || logical?.type === "MAP";
}
