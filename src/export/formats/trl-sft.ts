// TRL's SFTTrainer. An example is a whole conversation. When only some of the assistant's turns are
// trained on, each of them becomes an example in TRL's prompt-completion form, the only form in
// which TRL trains on one turn and not on another.

import type { TableRow } from "../contract.ts";
import { tableFormat } from "../files/table.ts";
import { mediaCells, mediaColumns } from "../media.ts";
import { templateMessages, toolsText } from "../messages.ts";

export const trlSft = tableFormat({
  about: "SFTTrainer of TRL: messages and tools; with --train-on, prompt and completion",
  columns: (options) => ({
    ...(options.masked
      ? { prompt: { list: "message" }, completion: { list: "message" } }
      : { messages: { list: "message" } }),
    tools: "string",
    ...mediaColumns(options, ["image"]),
  }),
  rowsOf: async ({ conversation: { turns, tools } }, options) => {
    const messages = templateMessages(turns, options);
    const rest = { tools: toolsText(tools), ...(await mediaCells(turns, options, ["image"])) };
    if (!options.masked) return [{ messages, ...rest }];
    return turns.flatMap((turn, index): TableRow[] => {
      if (!turn.trained) return [];
      if (index === 0) {
        options.omit("examples_without_prompt", 1);
        return [];
      }
      return [
        {
          prompt: messages.slice(0, index),
          completion: messages.slice(index, index + 1),
          ...rest,
        },
      ];
    });
  },
});
