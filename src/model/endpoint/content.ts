// Content that an endpoint sends in parts, as text. Parts with the model's thinking are kept apart
// from its answer: in `reasoning_content`, under the name that most endpoints give it.

import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";

/**
 * Parts that hold thinking: `thinking` and `redacted_thinking` (Anthropic, Mistral), `reasoning`
 * and `reasoning_text` (OpenAI, Cohere).
 */
const THINKING = /thinking|reasoning/;
/** Fields with which a provider recognizes its own thinking when it is sent back. */
const SEALS = ["signature", "data", "encrypted_content"];

/** The message, or a piece of one, with its content as text or null. */
export function withTextContent(message: JsonObject): JsonObject {
  const { content } = message;
  if (!Array.isArray(content)) return message;
  const parts = content as readonly Json[];
  const thinking = parts.filter(isThinking);
  const thought = textOf(thinking);
  const sealed = thinking.filter((part) => SEALS.some((seal) => seal in part));
  const said = textOf(parts.filter((part) => !isThinking(part)));
  return {
    ...message,
    content: said === "" ? null : said,
    ...(thought === "" ? {} : { reasoning_content: joined(message["reasoning_content"], thought) }),
    ...(sealed.length === 0 ? {} : { thinking_blocks: sealed }),
  };
}

function isThinking(part: Json): part is JsonObject {
  return isJsonObject(part) && typeof part["type"] === "string" && THINKING.test(part["type"]);
}

function joined(before: Json | undefined, text: string): string {
  return typeof before === "string" ? before + text : text;
}

/** The text of parts. A part of thinking has it in a field of its own, or in parts again. */
function textOf(parts: readonly Json[]): string {
  return parts
    .map((part) => {
      if (typeof part === "string") return part;
      if (!isJsonObject(part)) return "";
      const { text, thinking, reasoning, summary } = part;
      const inner = text ?? thinking ?? reasoning ?? summary;
      return Array.isArray(inner) ? textOf(inner) : typeof inner === "string" ? inner : "";
    })
    .join("");
}
