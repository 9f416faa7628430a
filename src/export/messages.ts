// A turn as a message in the OpenAI shape, with only the keys that it has.

import type { JsonObject } from "../task/json.ts";
import type { Turn } from "./contract.ts";

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

/** Tools as JSON text: a column of one type, whatever the tools, also where there are none. TRL reads it so. */
export function toolsText(tools: readonly JsonObject[]): string {
  return JSON.stringify(tools);
}
