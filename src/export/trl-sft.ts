// TRL's SFTTrainer. Whole conversations; or, where only some turns of the assistant are trained on, one example a turn in
// TRL's prompt-completion form, the only one in which it trains on a turn and not on another.

import type { TableRow } from "./contract.ts";
import { openaiMessage, toolsText } from "./messages.ts";
import { tableFormat } from "./table.ts";

export const trlSft = tableFormat({
  about: "SFTTrainer of TRL: messages and tools; with --train-on, prompt and completion",
  columns: ({ masked }) =>
    masked
      ? { prompt: { list: "json" }, completion: { list: "json" }, tools: "string" }
      : { messages: { list: "json" }, tools: "string" },
  rowsOf: ({ conversation: { turns, tools } }, { masked }) => {
    const messages = turns.map(openaiMessage);
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
