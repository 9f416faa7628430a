// Joins the pieces of a streamed answer into one value: text grows, whatever the names of its
// fields are, lists are joined, and tables grow field by field.

import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";

/** Fields of a piece of reasoning (OpenRouter, `reasoning_details`) whose texts grow. */
const GROWING = ["text", "summary", "data"];

/** Adds a piece to a table. */
export function grow(whole: Record<string, Json>, piece: JsonObject): void {
  for (const [key, value] of Object.entries(piece)) {
    const before = whole[key];
    // A write to `__proto__` would reach the prototype of every object of this process.
    if (value === null || key === "__proto__") continue;
    if (key === "reasoning_details" && Array.isArray(value))
      whole[key] = withDetails(Array.isArray(before) ? before : [], value);
    else if (typeof before === "string" && typeof value === "string") whole[key] = before + value;
    else if (Array.isArray(before) && Array.isArray(value)) append(before, value);
    else if (isJsonObject(before) && isJsonObject(value))
      grow(before as Record<string, Json>, value);
    else whole[key] = structuredClone(value);
  }
}

/** Adds one by one: a call with several hundred thousand arguments overflows the stack. */
function append(list: Json[], more: readonly Json[]): void {
  for (const one of more) list.push(one);
}

/** A block of reasoning comes in pieces of the same type and index, one after the other. */
function withDetails(before: readonly Json[], pieces: readonly Json[]): Json[] {
  const details = [...before];
  for (const piece of pieces) {
    const last = details.at(-1);
    const isMore =
      isJsonObject(piece) &&
      isJsonObject(last) &&
      piece["type"] === last["type"] &&
      piece["index"] === last["index"];
    if (isMore) details[details.length - 1] = continued(last, piece);
    else details.push(structuredClone(piece));
  }
  return details;
}

function continued(detail: JsonObject, piece: JsonObject): JsonObject {
  const grown = Object.entries(piece)
    .filter(([key, value]) => value !== null && key !== "__proto__")
    .map(([key, value]) => {
      const before = detail[key];
      const grows =
        GROWING.includes(key) && typeof before === "string" && typeof value === "string";
      return [key, grows ? before + value : value] as const;
    });
  return { ...detail, ...Object.fromEntries(grown) };
}
