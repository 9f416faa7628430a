// The format of OpenAI's fine-tuning: messages and tools as the chat API takes them. `weight` is 0
// on assistant turns that are not trained on.

import type { JsonObject } from "../../task/json.ts";
import type { Turn } from "../contract.ts";
import { openaiMessage } from "../messages.ts";
import { tableFormat } from "../table.ts";

export const openai = tableFormat({
  about: "chat fine-tuning of OpenAI: messages, tools, weight",
  // Tools are a list of objects in this format, and not text. Parquet would need a type for them.
  endings: [".jsonl"],
  columns: () => ({ messages: { list: "json" }, tools: { list: "json" } }),
  rowsOf: ({ conversation: { turns, tools } }, { masked }) => [
    {
      messages: turns.map((turn) => messageOf(turn, masked)),
      ...(tools.length === 0 ? {} : { tools }),
    },
  ],
});

function messageOf(turn: Turn, masked: boolean): JsonObject {
  const { reasoning_content: _, ...message } = openaiMessage(turn);
  return turn.role === "assistant" && masked
    ? { ...message, weight: turn.trained ? 1 : 0 }
    : message;
}
