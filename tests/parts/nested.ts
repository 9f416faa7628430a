// A value of a given depth.

import type { Json } from "../../src/task/json.ts";

/** Lists, or objects with the member `a`, inside each other. The innermost is empty. */
export function nested(levels: number, kind: "list" | "object" = "list"): Json {
  let value: Json = kind === "list" ? [] : {};
  for (let level = 1; level < levels; level++) value = kind === "list" ? [value] : { a: value };
  return value;
}
