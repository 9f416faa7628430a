// The size of a task: its row and its history as JSON. Every task has the same limit, on the wire
// and within one process, so that each record can be read again and no process is filled by one
// task. An encoded task knows its bytes. Any other task is measured only when a part of it is
// large, because most steps make a few hundred bytes.

import { DEPTH_MAX } from "./depth.ts";
import { EncodedTask, sizeOf } from "./encoded.ts";
import { ExactNumber } from "./exact.ts";
import type { Hop, Task } from "./task.ts";

/**
 * The limit of a task's row and history. A hop that would exceed it is left out and ends the task.
 */
export const TASK_BYTES_MAX = 64 * 2 ** 20;
/** The limit of a rule's decision: the state or the outcome of a task. It travels beside them. */
export const STATE_BYTES_MAX = 8 * 2 ** 20;

/** The weight of a value that has more than DEPTH_MAX levels. */
export const TOO_HEAVY_DEPTH = -1;
/** The weight of a number, a boolean, null, or the frame of a list or an object. */
const LEAF_CHARS = 8;
/** A value of this weight is too large: JSON takes at least two bytes for what weighs eight. */
export const WEIGHT_MAX = 4 * TASK_BYTES_MAX + LEAF_CHARS;
/** JSON takes at most six bytes for a UTF-16 code unit. */
const BYTES_PER_CHAR_MAX = 6;
/** A result of this weight takes, with the rest of its hop, at most 64 KiB. */
const SMALL_CHARS = 8 * 2 ** 10;
const SMALL_ROW_CHARS = 2 ** 20;
/** Small hops that fit a task beside a small row. */
const SMALL_HOPS = 900;

/** Rows of tasks that have had a large part. Tasks without one are never measured. */
const measured = new WeakSet<object>();
let measuresAny = false;
/** Bytes of rows and hops of such tasks. */
const bytesOf = new WeakMap<object, number>();

/**
 * About the length of a value as JSON: text counts its characters, and any other part a constant.
 * The bytes are at most six times that. Ends early, with a weight above WEIGHT_MAX, for a value
 * that is larger. TOO_HEAVY_DEPTH for one that is nested too deeply or contains itself.
 */
export function weigh(value: unknown): number {
  chars = 0;
  return weighPart(value, DEPTH_MAX) ? chars : TOO_HEAVY_DEPTH;
}
let chars = 0;

/** Adds to `chars`. Returns false for a value that is nested too deeply. */
function weighPart(value: unknown, levels: number): boolean {
  if (typeof value === "string") chars += value.length;
  else if (typeof value === "bigint") chars += value.toString().length;
  else chars += LEAF_CHARS;
  if (typeof value !== "object" || value === null) return true;
  if (ArrayBuffer.isView(value)) chars += value.byteLength * LEAF_CHARS;
  else if (value instanceof ExactNumber) chars += value.toString().length;
  else if (levels === 0) return false;
  else return weighParts(value, levels - 1);
  return true;
}

function weighParts(value: object, levels: number): boolean {
  if (Array.isArray(value)) {
    for (const part of value) {
      if (!weighPart(part, levels)) return false;
      if (chars > WEIGHT_MAX) return true;
    }
    return true;
  }
  for (const key in value) {
    chars += key.length;
    if (!weighPart((value as Record<string, unknown>)[key], levels)) return false;
    if (chars > WEIGHT_MAX) return true;
  }
  return true;
}

/** Tells whether a row alone is larger than a task may be. `weight` is that of the row. */
export function isRowTooLarge({ row }: Pick<Task, "row">, weight: number): boolean {
  if (weight <= SMALL_ROW_CHARS) return false;
  measure(row);
  return weight > WEIGHT_MAX || bytes(row) > TASK_BYTES_MAX;
}

/** Tells whether a task is too large with its last hop, whose result has this weight. */
export function isTooLarge(after: Task, last: Hop, weight: number): boolean {
  if (after instanceof EncodedTask) return sizeOf(after) > TASK_BYTES_MAX;
  if (weight > SMALL_CHARS || last.missed !== undefined) measure(after.row);
  return isJoinTooLarge(after);
}

/** The same for a task that got the hops of its branches, each of which was weighed before. */
export function isJoinTooLarge(after: Task): boolean {
  if (after instanceof EncodedTask) return sizeOf(after) > TASK_BYTES_MAX;
  if (after.history.length > SMALL_HOPS) measure(after.row);
  if (!measuresAny || !measured.has(after.row)) return false;
  // Hops have commas between them.
  let sum = bytes(after.row) + after.history.length - 1;
  for (const hop of after.history) sum += bytes(hop);
  return sum > TASK_BYTES_MAX;
}

/** Tells whether a rule's decision, of this weight, is larger than a message may carry. */
export function isStateTooLarge(decided: unknown, weight: number): boolean {
  if (weight * BYTES_PER_CHAR_MAX <= STATE_BYTES_MAX) return false;
  return weight > WEIGHT_MAX || jsonBytes(decided) > STATE_BYTES_MAX;
}

function measure(row: object): void {
  measuresAny = true;
  measured.add(row);
}

/** The bytes of a row or a hop, which never changes. */
function bytes(part: object): number {
  const known = bytesOf.get(part);
  if (known !== undefined) return known;
  const found = jsonBytes(part);
  bytesOf.set(part, found);
  return found;
}

function jsonBytes(value: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(value));
  } catch (cause) {
    // A text may be longer than a string can be. Any other value that is no JSON fails later.
    return cause instanceof RangeError ? Number.POSITIVE_INFINITY : 0;
  }
}
