// A model's reasoning in a result. Endpoints name it differently: DeepSeek and older vLLM have
// `reasoning_content`, newer vLLM and OpenRouter `reasoning`, OpenRouter also `reasoning_details`,
// and litellm `thinking_blocks`, as Anthropic makes them.

import { isJsonObject, type Json, type JsonObject } from "../task/json.ts";
import type { Turn } from "./contract.ts";

const TEXTS = ["reasoning_content", "reasoning"];
const DETAILS = ["reasoning_details", "thinking_blocks"];
/** Members of a detail that hold text, by the types that have them. */
const DETAIL_TEXTS = ["text", "summary", "thinking"];

/** The members of a turn for the reasoning of its result; none for a result without any. */
export function reasoningOf(result: Json): Pick<Turn, "reasoning_content" | "reasoning_details"> {
  if (!isJsonObject(result)) return {};
  const details: JsonObject = Object.fromEntries(
    DETAILS.flatMap((name) => {
      const value = result[name];
      return Array.isArray(value) && value.length > 0 ? [[name, value] as const] : [];
    }),
  );
  const text = TEXTS.map((name) => result[name]).find(isText) ?? textOfDetails(details);
  return {
    ...(text === undefined ? {} : { reasoning_content: text }),
    ...(Object.keys(details).length === 0 ? {} : { reasoning_details: details }),
  };
}

/** The text of the first field with text in it. What is encrypted or redacted has none. */
function textOfDetails(details: JsonObject): string | undefined {
  return Object.values(details)
    .map((list) => (Array.isArray(list) ? list : []).flatMap(textOfDetail).join(""))
    .find(isText);
}

function textOfDetail(detail: Json): readonly string[] {
  if (!isJsonObject(detail)) return [];
  return DETAIL_TEXTS.map((name) => detail[name]).filter(isText);
}

function isText(value: Json | undefined): value is string {
  return typeof value === "string" && value.trim() !== "";
}
