// The differences between two resolved recipes, and what each means for a continued run: the run
// may change the key, may only raise it, or may not change it. Two ways to write the same value do
// not count as a difference: a default written out, "90s" for "1.5m", another order of keys.

import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import { joinKey, matchesKey, splitKey, valueAt } from "./key-path.ts";
import { FREE_KEYS, GROWING_KEYS } from "./keys.ts";
import { recipeSchema } from "./schema/schema.ts";

export interface Difference {
  readonly key: string;
  /** The value as written; undefined where the recipe does not set the key. */
  readonly before: Json | undefined;
  readonly now: Json | undefined;
  readonly kind: "free" | "grows" | "shrinks" | "conflict";
}

export function recipeDifferences(before: JsonObject, now: JsonObject): Difference[] {
  const [old, fresh] = [new Map(leavesOf(before)), new Map(leavesOf(now))];
  const [oldMeaning, freshMeaning] = [meaningOf(before), meaningOf(now)];
  const differences: Difference[] = [];
  for (const key of new Set([...old.keys(), ...fresh.keys()])) {
    if (isDeepStrictEqual(valueAt(oldMeaning, key), valueAt(freshMeaning, key))) continue;
    const [a, b] = [old.get(key), fresh.get(key)];
    if (!isDeepStrictEqual(a, b))
      differences.push({ key, before: a, now: b, kind: kindOf(key, a, b) });
  }
  return differences;
}

/**
 * The recipe with its defaults, in milliseconds and bytes. A table that is not a valid recipe stays
 * as it is.
 */
function meaningOf(table: JsonObject): unknown {
  const result = v.safeParse(recipeSchema, table);
  return result.success ? result.output : table;
}

/** Every value of a table with its key path. A list is one value. */
function* leavesOf(table: JsonObject, prefix = ""): Generator<readonly [key: string, value: Json]> {
  for (const [part, value] of Object.entries(table)) {
    const key = joinKey(prefix, part);
    if (isJsonObject(value)) yield* leavesOf(value, key);
    else yield [key, value];
  }
}

function kindOf(key: string, before: Json | undefined, now: Json | undefined): Difference["kind"] {
  // A pattern such as models.*.headers also applies to the keys one level below it.
  const parent = splitKey(key).slice(0, -1).reduce(joinKey, "");
  if (FREE_KEYS.some((pattern) => matchesKey(key, pattern) || matchesKey(parent, pattern)))
    return "free";
  const growing = GROWING_KEYS.find((pattern) => matchesKey(key, pattern));
  if (growing === undefined) return "conflict";
  return sizeOf(growing, now) > sizeOf(growing, before) ? "grows" : "shrinks";
}

/** The size of a growing key. An unset limit is infinite, and unset trials are one. */
function sizeOf(key: string, value: Json | undefined): number {
  if (typeof value === "number") return value;
  return key === "dataset.limit" ? Number.POSITIVE_INFINITY : 1;
}
