// Turns and tools as formats in the OpenAI shape write them.

import type { JsonObject } from "../task/json.ts";
import type { Turn } from "./contract.ts";

/** A turn as a message with only the keys that the turn has. */
export function openaiMessage({
  role,
  content,
  reasoning_content: reasoning,
  tool_calls: calls,
  tool_call_id: id,
}: Turn): JsonObject {
  return {
    role,
    content,
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(calls === undefined ? {} : { tool_calls: calls as unknown as readonly JsonObject[] }),
    ...(id === undefined ? {} : { tool_call_id: id }),
  };
}

/**
 * Tools as JSON text, "[]" for none. Text keeps the column at one type for any tools, and TRL reads
 * it.
 */
export function toolsText(tools: readonly JsonObject[]): string {
  return JSON.stringify(tools);
}
