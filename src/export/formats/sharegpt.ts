// ShareGPT as LLaMA-Factory and axolotl read it: `conversations` of {from, value}, with the system
// prompt and the tools in their own columns.

import type { JsonObject } from "../../task/json.ts";
import type { Turn } from "../contract.ts";
import { toolsText } from "../messages.ts";
import { tableFormat } from "../table.ts";

export const sharegpt = tableFormat({
  about: "ShareGPT of LLaMA-Factory and axolotl: conversations of {from, value}",
  columns: ({ masked }) => ({
    conversations: {
      list: { struct: { from: "string", value: "string", ...(masked ? { train: "bool" } : {}) } },
    },
    system: "string",
    tools: "string",
  }),
  rowsOf: ({ conversation: { turns, tools } }, { masked }) => {
    const [first, ...rest] = turns;
    const system = first?.role === "system" ? first.content : null;
    const spoken = system === null ? turns : rest;
    const conversations = spoken.map((turn) => ({
      ...saidBy(turn),
      ...(masked ? { train: turn.trained } : {}),
    }));
    return [
      { conversations, system: system ?? "", tools: tools.length === 0 ? "" : toolsText(tools) },
    ];
  },
});

function saidBy({ role, content, tool_calls: calls }: Turn): { from: string; value: string } {
  switch (role) {
    case "system":
      return { from: "system", value: content ?? "" };
    case "user":
      return { from: "human", value: content ?? "" };
    case "tool":
      return { from: "observation", value: content ?? "" };
    case "assistant":
      if (calls === undefined) return { from: "gpt", value: content ?? "" };
      return {
        from: "function_call",
        value: callsText(
          calls.map(({ function: { name, arguments: text } }) => ({
            name,
            arguments: parsed(text),
          })),
        ),
      };
  }
}

/** One call as an object, several calls as a list. */
function callsText(calls: readonly JsonObject[]): string {
  return JSON.stringify(calls.length === 1 ? calls[0] : calls);
}

/**
 * The arguments of a call as JSON, or as text when the model did not write JSON. They become part
 * of a text, so their type may vary.
 */
function parsed(text: string): JsonObject | string {
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return text;
  }
}
