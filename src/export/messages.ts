// Turns and tools as formats in the OpenAI shape write them.

import type { JsonObject } from "../task/json.ts";
import type { Turn } from "./contract.ts";
import { argumentsOf } from "./tool-arguments.ts";

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
 * A turn as a message for chat templates, which TRL and others render:
 * - Arguments of calls are objects.
 * - A turn without text has empty text, because some templates fail without a content.
 * - Reasoning stands in `reasoning_content`, which most templates read, and in `thinking`, which
 *   those of gpt-oss and LFM2.5 read. The one of gpt-oss refuses `thinking` beside text and calls,
 *   so it is empty there; transformers would fill it if it were missing.
 */
export function templateMessage(turn: Turn): JsonObject {
  const { content, reasoning_content: reasoning, tool_calls: calls } = turn;
  const refused = calls !== undefined && content !== null && content !== "";
  return {
    ...openaiMessage(turn),
    content: content ?? "",
    ...(reasoning === undefined ? {} : { thinking: refused ? "" : reasoning }),
    ...(calls === undefined
      ? {}
      : {
          tool_calls: calls.map(({ id, type, function: { name, arguments: text } }) => ({
            id,
            type,
            function: { name, arguments: argumentsOf(text) },
          })),
        }),
  };
}

/**
 * Tools as JSON text, "[]" for none. Text keeps the column at one type for any tools, and TRL reads
 * it.
 */
export function toolsText(tools: readonly JsonObject[]): string {
  return JSON.stringify(tools);
}
