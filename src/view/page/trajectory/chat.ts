// A chat message in the OpenAI shape, read from JSON that a model, a program or a user wrote.

import type { Json, JsonObject } from "../../../task/json.ts";

export interface ChatMessage {
  readonly role: string;
  readonly name: string | null;
  readonly reasoning: string | null;
  /** A text, or a part such as an image. */
  readonly content: readonly Json[];
  readonly calls: readonly ToolCall[];
  readonly refusal: string | null;
  /** Members that this page has no place for; null for none. */
  readonly rest: JsonObject | null;
}

export interface ToolCall {
  readonly id: string | null;
  readonly name: string;
  /** The text that the model wrote, which may be no JSON. */
  readonly arguments: string;
}

const REASONING = ["reasoning_content", "reasoning", "thinking"];
const KNOWN: ReadonlySet<string> = new Set([
  ...REASONING,
  ...["role", "content", "name", "tool_calls", "tool_call_id", "refusal"],
]);

/** The chat message that a value is, or null. */
export function chatMessageOf(value: Json | undefined): ChatMessage | null {
  if (!isObject(value) || typeof value["role"] !== "string") return null;
  const { content } = value;
  if (content === undefined && value["tool_calls"] === undefined) return null;
  const extra = Object.entries(value).filter(([name, own]) => !KNOWN.has(name) && own !== null);
  const reasoning = REASONING.map((name) => value[name]).find((own) => typeof own === "string");
  const { refusal, name } = value;
  return {
    role: value["role"],
    name: typeof name === "string" ? name : null,
    reasoning: typeof reasoning === "string" && reasoning !== "" ? reasoning : null,
    content: partsOf(content),
    calls: Array.isArray(value["tool_calls"]) ? value["tool_calls"].map(callOf) : [],
    refusal: typeof refusal === "string" ? refusal : null,
    rest: extra.length === 0 ? null : Object.fromEntries(extra),
  };
}

/** The text of a part; null for another kind. */
export function textOfPart(part: Json): string | null {
  if (typeof part === "string") return part;
  return isObject(part) && typeof part["text"] === "string" ? part["text"] : null;
}

/** The address of an image part; null for another kind. */
export function imageOfPart(part: Json): string | null {
  if (!isObject(part)) return null;
  const { image_url: image } = part;
  if (typeof image === "string") return image;
  return isObject(image) && typeof image["url"] === "string" ? image["url"] : null;
}

function partsOf(content: Json | undefined): readonly Json[] {
  if (content === undefined || content === null || content === "") return [];
  return Array.isArray(content) ? content : [content];
}

function callOf(call: Json): ToolCall {
  const own = isObject(call) ? call : {};
  const made = isObject(own["function"]) ? own["function"] : own;
  const given = made["arguments"];
  return {
    id: typeof own["id"] === "string" ? own["id"] : null,
    name: typeof made["name"] === "string" ? made["name"] : "a call without a name",
    arguments: typeof given === "string" ? given : JSON.stringify(given ?? {}),
  };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
