// ms-swift's own messages: a call is a message of the role `tool_call`, so a turn with text and two
// calls is three messages. Reasoning is a part of the text. Calls and results have no ids.

import type { JsonObject } from "../../task/json.ts";
import { thinkText, withResultsInOrder } from "../call-turns.ts";
import type { Turn } from "../contract.ts";
import { tableFormat } from "../files/table.ts";
import { markedText, mediaCells, mediaColumns } from "../media.ts";
import { omitDetails, toolsText } from "../messages.ts";
import { argumentsOf } from "../tool-arguments.ts";

export const msSwift = tableFormat({
  about: "ms-swift: messages with tool_call and tool_response, tools, images and audios",
  columns: (options) => ({
    messages: {
      list: {
        struct: {
          role: "string",
          content: "string",
          ...(options.masked ? { loss: "bool" } : {}),
        },
      },
    },
    tools: "string",
    ...mediaColumns(options, ["image", "audio"]),
  }),
  rowsOf: async ({ conversation: { turns, tools } }, options) => {
    omitDetails(turns, options);
    return [
      {
        messages: withResultsInOrder(turns).flatMap((turn) =>
          messagesOf(turn).map((message) => ({
            ...message,
            ...(options.masked ? { loss: turn.trained } : {}),
          })),
        ),
        ...(tools.length === 0 ? {} : { tools: toolsText(tools) }),
        ...(await mediaCells(turns, options, ["image", "audio"])),
      },
    ];
  },
});

function messagesOf(turn: Turn): readonly JsonObject[] {
  const { role, tool_calls: calls = [] } = turn;
  if (role === "tool") return [{ role: "tool_response", content: turn.content ?? "" }];
  const said = { role, content: thinkText(turn) + markedText(turn) };
  const called = calls.map(({ function: { name, arguments: text } }) => ({
    role: "tool_call",
    content: JSON.stringify({ name, arguments: argumentsOf(text) }),
  }));
  return calls.length > 0 && said.content === "" ? called : [said, ...called];
}
