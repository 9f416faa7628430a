// Two resolved recipes side by side: what a continued run may change, what it may raise, and what makes it another run.

import type { Json, JsonObject } from "../task/json.ts";
import { FREE_KEYS, GROWING_KEYS, matchesKey } from "./schema.ts";
import { leavesOf } from "./source.ts";

export interface Difference {
  readonly key: string;
  readonly before: Json | undefined;
  readonly now: Json | undefined;
  readonly kind: "free" | "grows" | "shrinks" | "conflict";
}

export function recipeDifferences(before: JsonObject, now: JsonObject): Difference[] {
  const old = new Map(leavesOf(before));
  const fresh = new Map(leavesOf(now));
  const differences: Difference[] = [];
  for (const key of new Set([...old.keys(), ...fresh.keys()])) {
    const [a, b] = [old.get(key), fresh.get(key)];
    if (JSON.stringify(a) !== JSON.stringify(b)) differences.push({ key, before: a, now: b, kind: kindOf(key, a, b) });
  }
  return differences;
}

function kindOf(key: string, before: Json | undefined, now: Json | undefined): Difference["kind"] {
  // A pattern frees what stands under it as well: headers are a table.
  if (FREE_KEYS.some((pattern) => matchesKey(key, pattern) || matchesKey(key.split(".").slice(0, -1).join("."), pattern))) return "free";
  const growing = GROWING_KEYS.find((pattern) => matchesKey(key, pattern));
  if (growing === undefined) return "conflict";
  return sizeOf(growing, now) > sizeOf(growing, before) ? "grows" : "shrinks";
}

/** An unset limit is none at all; unset trials are one. */
function sizeOf(key: string, value: Json | undefined): number {
  if (typeof value === "number") return value;
  return key === "dataset.limit" ? Number.POSITIVE_INFINITY : 1;
}
