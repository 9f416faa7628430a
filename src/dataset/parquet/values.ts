// Values of Parquet as JSON, by the schema of their column. Numbers are exact. A decimal becomes
// text with all its digits. A time becomes text of RFC 3339 with the digits of its unit, and with
// "Z" only where the column counts from an instant in UTC. Bytes become text if they are UTF-8, and
// base64 if they are not. JSON has neither NaN nor infinities: they become null.

import { isUtf8 } from "node:buffer";
import type { SchemaElement, SchemaTree } from "hyparquet";
import { parseJson } from "../../task/exact.ts";
import type { Json } from "../../task/json.ts";

export type Convert = (value: unknown) => Json;

const UNIT_DIGITS = { MILLIS: 3, MICROS: 6, NANOS: 9 } as const;
const DAY_SECONDS = 86_400n;

/**
 * The schema with which values are read. It keeps the library from rounding decimals, and from
 * losing keys of maps that JavaScript would take for one.
 */
export function rawSchema(schema: readonly SchemaElement[]): SchemaElement[] {
  return schema.map((element) => {
    const { converted_type: converted, ...rest } = element;
    const isList = converted === "LIST" || element.logical_type?.type === "LIST";
    if (isList) return { ...rest, converted_type: "LIST" };
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
  if (element.converted_type === "LIST" && children.length === 1) {
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
      const name = key?.(entry[keyName]) ?? null;
      const text = typeof name === "object" ? JSON.stringify(name) : String(name);
      return [text, item?.(entry[itemName]) ?? null] as const;
    });
    const seen = new Set<string>();
    for (const [name] of pairs)
      if (seen.size === seen.add(name).size)
        throw new Error(`the map "${node.path.join(".")}" has the key "${name}" twice`);
    return Object.fromEntries(pairs);
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
      return (value) => parseJson(textOf(value as Uint8Array, name)) as Json;
  }
  if (converted === "UTF8" || logical?.type === "STRING")
    return (value) => (typeof value === "string" ? value : textOf(value as Uint8Array, name));
  return plain;
}

function plain(value: unknown): Json {
  switch (typeof value) {
    case "bigint":
      return wholeNumber(value);
    case "number":
      return Number.isFinite(value) ? value : null;
    case "string":
    case "boolean":
      return value;
  }
  if (!(value instanceof Uint8Array)) return value as Json;
  const bytes = bufferOf(value);
  return bytes.toString(isUtf8(bytes) ? "utf8" : "base64");
}

function wholeNumber(value: bigint): Json {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function textOf(value: Uint8Array, column: string): string {
  const bytes = bufferOf(value);
  if (isUtf8(bytes)) return bytes.toString("utf8");
  throw new Error(`the text of the column "${column}" is not UTF-8`);
}

function decimalConverter({ scale, logical_type: logical }: SchemaElement): Convert {
  const digits = logical?.type === "DECIMAL" ? logical.scale : (scale ?? 0);
  return (value) => {
    const unscaled = value instanceof Uint8Array ? signed(value) : BigInt(value as number);
    const text = String(unscaled < 0n ? -unscaled : unscaled).padStart(digits + 1, "0");
    const point = text.length - digits;
    const sign = unscaled < 0n ? "-" : "";
    return digits === 0 ? sign + text : `${sign}${text.slice(0, point)}.${text.slice(point)}`;
  };
}

/** The number of big-endian bytes in two's complement. */
function signed(value: Uint8Array): bigint {
  if (value.length === 0) return 0n;
  return BigInt.asIntN(value.length * 8, BigInt(`0x${bufferOf(value).toString("hex")}`));
}

type Unit = keyof typeof UNIT_DIGITS;

function timestampConverter(unit: Unit, isUtc: boolean): Convert {
  const perDay = DAY_SECONDS * 10n ** BigInt(UNIT_DIGITS[unit]);
  return (value) => {
    const count = BigInt(value as number | bigint);
    const inDay = ((count % perDay) + perDay) % perDay;
    const date = dateText(Number((count - inDay) / perDay));
    return `${date}T${timeText(inDay, unit)}${isUtc ? "Z" : ""}`;
  };
}

function timeText(value: bigint | number, unit: Unit): string {
  const digits = UNIT_DIGITS[unit];
  const text = String(value).padStart(digits + 1, "0");
  const seconds = Number(text.slice(0, -digits));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${parts.map((part) => String(part).padStart(2, "0")).join(":")}.${text.slice(-digits)}`;
}

/**
 * The date of a day that is counted from 1970-01-01, in the calendar of ISO 8601. JavaScript's own
 * dates end at the year 275760.
 */
function dateText(days: number): string {
  // Eras of 400 years begin in March of year 0, so that a leap day is the last of its year.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const two = (part: number) => String(part).padStart(2, "0");
  return `${yearText(year)}-${two(month)}-${two(day)}`;
}

function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, "0");
  return `${year < 0 ? "-" : "+"}${String(Math.abs(year)).padStart(6, "0")}`;
}

function isDecimal({ converted_type: converted, logical_type: logical }: SchemaElement): boolean {
  return converted === "DECIMAL" || logical?.type === "DECIMAL";
}

function isMap({ converted_type: converted, logical_type: logical }: SchemaElement): boolean {
  return converted === "MAP" || converted === "MAP_KEY_VALUE" || logical?.type === "MAP";
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
