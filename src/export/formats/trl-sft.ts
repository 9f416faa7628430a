// TRL's SFTTrainer. An example is a whole conversation. When only some of the assistant's turns are
// trained on, each of them becomes an example in TRL's prompt-completion form, the only form in
// which TRL trains on one turn and not on another.

import type { TableRow } from "../contract.ts";
import { templateMessage, toolsText } from "../messages.ts";
import { tableFormat } from "../table.ts";

export const trlSft = tableFormat({
  about: "SFTTrainer of TRL: messages and tools; with --train-on, prompt and completion",
  columns: ({ masked }) =>
    masked
      ? { prompt: { list: "json" }, completion: { list: "json" }, tools: "string" }
      : { messages: { list: "json" }, tools: "string" },
  rowsOf: ({ conversation: { turns, tools } }, { masked }) => {
    const messages = turns.map(templateMessage);
    const text = toolsText(tools);
    if (!masked) return [{ messages, tools: text }];
    return turns.flatMap((turn, index): TableRow[] =>
      turn.trained
        ? [
            {
              prompt: messages.slice(0, index),
              completion: messages.slice(index, index + 1),
              tools: text,
            },
          ]
        : [],
    );
  },
});
