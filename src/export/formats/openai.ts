// The format of OpenAI's fine-tuning: messages and tools as the chat API takes them. `weight` is 0
// on assistant turns that are not trained on.

import type { JsonObject } from "../../task/json.ts";
import type { Medium, Turn } from "../contract.ts";
import { tableFormat } from "../files/table.ts";
import { contentOf } from "../media.ts";
import { omitDetails, omitReasoning, openaiMessage } from "../messages.ts";

export const openai = tableFormat({
  about: "chat fine-tuning of OpenAI: messages, tools, weight",
  // Tools are a list of objects in this format, and not text. Parquet would need a type for them.
  endings: [".jsonl"],
  structs: "never",
  columns: () => ({ messages: { list: "message" }, tools: { list: "json" } }),
  rowsOf: ({ conversation: { turns, tools } }, options) => {
    omitReasoning(turns, options);
    omitDetails(turns, options);
    return [
      {
        messages: turns.map((turn) => messageOf(turn, options.masked)),
        ...(tools.length === 0 ? {} : { tools }),
      },
    ];
  },
});

function messageOf(turn: Turn, masked: boolean): JsonObject {
  const { reasoning_content: _, ...message } = openaiMessage(turn);
  return {
    ...message,
    ...(turn.media === undefined
      ? {}
      : { content: [{ type: "text", text: turn.content ?? "" }, ...turn.media.map(partOf)] }),
    ...(turn.role === "assistant" && masked ? { weight: turn.trained ? 1 : 0 } : {}),
  };
}

function partOf({ kind, url }: Medium): JsonObject {
  if (kind === "image") return { type: "image_url", image_url: { url } };
  const { bytes, ending: format } = contentOf(url) ?? { bytes: Buffer.alloc(0), ending: "wav" };
  return { type: "input_audio", input_audio: { data: bytes.toString("base64"), format } };
}
