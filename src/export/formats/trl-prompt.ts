// Prompts alone, as TRL's GRPOTrainer and other trainers that generate by themselves read them: one
// example for each row, with what a reward function needs.

import { tableFormat } from "../files/table.ts";
import { mediaCells, mediaColumns } from "../media.ts";
import { templateMessages, toolsText } from "../messages.ts";
import { groundTruthOf, promptOf } from "../prompts.ts";

export const trlPrompt = tableFormat({
  about: "GRPOTrainer of TRL: prompt, tools, ground_truth and row, once for each row",
  once: true,
  columns: (options) => ({
    prompt: { list: "message" },
    tools: "string",
    ground_truth: "string",
    id: "string",
    row: "json",
    ...mediaColumns(options, ["image"]),
  }),
  rowsOf: async ({ record, conversation }, options) => {
    const turns = promptOf(conversation);
    if (turns.length === 0) {
      options.omit("examples_without_prompt", 1);
      return [];
    }
    return [
      {
        prompt: templateMessages(turns, options),
        tools: toolsText(conversation.tools),
        ground_truth: groundTruthOf(record, options),
        id: record.id,
        row: record.row,
        ...(await mediaCells(turns, options, ["image"])),
      },
    ];
  },
});
