// The arguments of tool calls as JSON. Records keep the text that the model wrote. Chat templates
// of training programs need an object: most of them walk over its members, and others would write
// the text as a JSON string.

import { ExactNumber } from "../task/exact.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";

/**
 * The arguments as an object, or the text itself when it is no JSON object. No text is no
 * arguments: some models call a tool without parameters in this way. Numbers stay as the model
 * wrote them (1.0, 1e3, or an integer of 20 digits), because Python reads them as other values than
 * what JavaScript would write.
 */
export function argumentsOf(text: string): JsonObject | string {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text, keepNumber);
    return isJsonObject(value) ? value : text;
  } catch {
    return text;
  }
}

/** A reviver, which Bun calls with the source of each number. */
function keepNumber(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return typeof value === "number" && source !== undefined && source !== String(value)
    ? new ExactNumber(source)
    : value;
}
