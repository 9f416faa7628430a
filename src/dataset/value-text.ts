// Values of typed columns as JSON. Numbers are exact. A decimal becomes text with all its digits. A
// time becomes text of RFC 3339 with the digits of its unit, and with "Z" only where the column
// counts from an instant in UTC. Bytes become text if they are UTF-8, and base64 if they are not.
// JSON has neither NaN nor infinities: they become null.

import { isUtf8 } from "node:buffer";
import type { Json, JsonObject } from "../task/json.ts";

const UNIT_DIGITS = { MILLIS: 3, MICROS: 6, NANOS: 9 } as const;
const DAY_SECONDS = 86_400n;

export type Unit = keyof typeof UNIT_DIGITS;

export function wholeNumber(value: bigint): Json {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

export function fraction(value: number): Json {
  return Number.isFinite(value) ? value : null;
}

/** Text that must be UTF-8. */
export function textOf(value: Uint8Array, column: string): string {
  const bytes = bufferOf(value);
  if (isUtf8(bytes)) return bytes.toString("utf8");
  throw new Error(`the text of the column "${column}" is not UTF-8`);
}

export function bytesText(value: Uint8Array): string {
  const bytes = bufferOf(value);
  return bytes.toString(isUtf8(bytes) ? "utf8" : "base64");
}

/** The entries of a map as an object. */
export function objectOf(
  entries: readonly (readonly [key: Json, value: Json])[],
  column: string,
): JsonObject {
  const pairs = entries.map(
    ([key, value]) => [typeof key === "string" ? key : JSON.stringify(key), value] as const,
  );
  const seen = new Set<string>();
  for (const [name] of pairs)
    if (seen.size === seen.add(name).size)
      throw new Error(`the map "${column}" has the key "${name}" twice`);
  return Object.fromEntries(pairs);
}

export function decimalText(unscaled: bigint, scale: number): string {
  if (scale <= 0) return String(unscaled * 10n ** BigInt(-scale));
  const text = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const point = text.length - scale;
  const sign = unscaled < 0n ? "-" : "";
  return `${sign}${text.slice(0, point)}.${text.slice(point)}`;
}

/** The time that lies this many units after the beginning of 1970. */
export function timestampText(count: bigint, unit: Unit, isUtc: boolean): string {
  const perDay = DAY_SECONDS * 10n ** BigInt(UNIT_DIGITS[unit]);
  const inDay = ((count % perDay) + perDay) % perDay;
  const date = dateText(Number((count - inDay) / perDay));
  return `${date}T${timeText(inDay, unit)}${isUtc ? "Z" : ""}`;
}

/** The time that lies this many units after the beginning of a day. */
export function timeText(value: bigint | number, unit: Unit): string {
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
export function dateText(days: number): string {
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

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
