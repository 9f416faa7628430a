// Members of a value that may be any JSON: records of other programs and of other versions. What
// is not of the wanted type counts as not set.

import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { NO_USAGE, USAGE_DETAILS } from "../../task/spent.ts";
import type { TaskError, Usage } from "../../task/task.ts";
import { beginningOf } from "./content.ts";

export function textIn(value: JsonObject, name: string): string | null {
  const member = value[name];
  return typeof member === "string" ? beginningOf(member) : null;
}

export function numberIn(value: JsonObject, name: string): number | null {
  const member = value[name];
  return typeof member === "number" && Number.isFinite(member) ? member : null;
}

export function objectIn(value: JsonObject, name: string): JsonObject | null {
  const member: Json = value[name] ?? null;
  return isJsonObject(member) ? member : null;
}

export function usageIn(value: JsonObject, name: string): Usage | null {
  const usage = objectIn(value, name);
  if (usage === null) return null;
  const { requests, prompt_tokens, completion_tokens } = NO_USAGE;
  const known = USAGE_DETAILS.flatMap((detail) => {
    const count = numberIn(usage, detail);
    return count === null ? [] : [[detail, count] as const];
  });
  return {
    requests: numberIn(usage, "requests") ?? requests,
    prompt_tokens: numberIn(usage, "prompt_tokens") ?? prompt_tokens,
    completion_tokens: numberIn(usage, "completion_tokens") ?? completion_tokens,
    ...Object.fromEntries(known),
  };
}

export function errorIn(value: JsonObject, name: string): TaskError | null {
  const error = objectIn(value, name);
  if (error === null) return null;
  const stack = textIn(error, "stack");
  return {
    code: textIn(error, "code") ?? "unknown",
    message: textIn(error, "message") ?? "",
    role: textIn(error, "role"),
    hop: numberIn(error, "hop"),
    ...(stack === null ? {} : { stack }),
  };
}
