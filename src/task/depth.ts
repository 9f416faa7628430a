// The depth of JSON. What writes JSON, packs messages, renders templates and checks schemas follows
// a value into its parts by recursion, and a value that is nested ten thousand times ends the
// process there. So each value that enters a task is bounded.

import { ExactNumber } from "./exact.ts";
import type { Json } from "./json.ts";

/** Most levels of lists and objects inside each other. Python's JSON reads 1,000. */
export const DEPTH_MAX = 256;

export const TOO_DEEP = `is nested more than ${DEPTH_MAX} levels deep`;

/** Tells whether a value has more levels than `max`. A value that contains itself has. */
export function isTooDeep(value: unknown, max = DEPTH_MAX): boolean {
  return isNested(value) && isDeeper(value, max);
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** True for a value of more than `max` levels. Every step asks, so leaves cost no call. */
function isDeeper(value: object, max: number): boolean {
  if (ArrayBuffer.isView(value) || value instanceof ExactNumber) return false;
  if (max === 0) return true;
  if (Array.isArray(value)) {
    for (const part of value) if (isNested(part) && isDeeper(part, max - 1)) return true;
    return false;
  }
  for (const key in value) {
    const part = (value as Record<string, unknown>)[key];
    if (isNested(part) && isDeeper(part, max - 1)) return true;
  }
  return false;
}

/** A copy with the first `max` levels of a value. `null` stands for each part below them. */
export function cutDepth<T extends Json>(value: T, max = DEPTH_MAX): T {
  return cut(value, max) as T;
}

function cut(value: Json, levels: number): Json {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return value;
  if (levels === 0) return null;
  if (Array.isArray(value)) return value.map((part) => cut(part, levels - 1));
  const parts = Object.entries(value).map(([key, part]) => [key, cut(part, levels - 1)] as const);
  return Object.fromEntries(parts);
}
