// Turns and tools as formats in the OpenAI shape write them.

import type { JsonObject } from "../task/json.ts";
import type { FormatOptions, Turn } from "./contract.ts";
import { argumentsOf } from "./tool-arguments.ts";

/**
 * A turn as a message with only the keys that the turn has. Media stand as parts that name their
 * kind, and a column of the file has them.
 */
export function openaiMessage(turn: Turn): JsonObject {
  const { role, reasoning_content: reasoning, tool_calls: calls, tool_call_id: id } = turn;
  return {
    role,
    content: contentOf(turn),
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(calls === undefined ? {} : { tool_calls: calls as unknown as readonly JsonObject[] }),
    ...(id === undefined ? {} : { tool_call_id: id }),
  };
}

function contentOf({ content, media }: Turn): string | null | readonly JsonObject[] {
  if (media === undefined) return content;
  return [{ type: "text", text: content ?? "" }, ...media.map(({ kind }) => ({ type: kind }))];
}

/** A turn as a message, with all that the endpoint said of its reasoning. */
export function wholeMessage(turn: Turn): JsonObject {
  return { ...openaiMessage(turn), ...turn.reasoning_details };
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
    content: contentOf(turn) ?? "",
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
 * Messages for chat templates. Only the text of reasoning has a place there, and images, but no
 * audio.
 */
export function templateMessages(
  turns: readonly Turn[],
  options: Pick<FormatOptions, "omit">,
): readonly JsonObject[] {
  omitDetails(turns, options);
  return turns.map((turn) => {
    const images = turn.media?.filter(({ kind }) => kind === "image") ?? [];
    const { media: _, ...rest } = turn;
    return templateMessage(images.length === 0 ? rest : { ...turn, media: images });
  });
}

/** Counts the turns whose reasoning has no place in the format. */
export function omitReasoning(turns: readonly Turn[], { omit }: Pick<FormatOptions, "omit">): void {
  omit("reasoning", turns.filter(({ reasoning_content: text }) => text !== undefined).length);
}

/** Counts the turns whose reasoning says more than the text that the format has. */
export function omitDetails(turns: readonly Turn[], { omit }: Pick<FormatOptions, "omit">): void {
  omit("reasoning_details", turns.filter((turn) => turn.reasoning_details !== undefined).length);
}

/**
 * Tools as JSON text, "[]" for none. Text keeps the column at one type for any tools, and TRL reads
 * it.
 */
export function toolsText(tools: readonly JsonObject[]): string {
  return JSON.stringify(tools);
}
