// JSON values. Rows, states and results consist of them, so that a task can travel to any host in
// any language.

import { ExactNumber } from "./exact.ts";

export type Json =
  | null
  | boolean
  | number
  // Numbers that a double cannot hold (src/task/exact.ts).
  | bigint
  | ExactNumber
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export function isJsonObject(value: unknown): value is JsonObject {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof ExactNumber)
  );
}

/**
 * Makes a value immutable before user code sees it, and returns it. A value that is frozen at its
 * root is taken to be frozen whole.
 */
export function freezeJson<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) freezeJson(part);
  return value;
}
