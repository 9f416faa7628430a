// TRL's KTOTrainer: every scored answer by itself, with a label that says if it is good. The
// completion is the last answer, so that no tool's result is trained on.

import type { Candidate, FormatOptions, TableRow } from "../contract.ts";
import { tableFormat } from "../files/table.ts";
import { mediaCells, mediaColumns } from "../media.ts";
import { templateMessages, toolsText } from "../messages.ts";

export const trlKto = tableFormat({
  about: "KTOTrainer of TRL: prompt, completion, label: each scored answer, good or not",
  columns: (options) => ({
    prompt: { list: "message" },
    completion: { list: "message" },
    label: "bool",
    tools: "string",
    score: "float64",
    ...mediaColumns(options, ["image"]),
  }),
  rowsOf: async ({ candidates }, options) =>
    (await Promise.all(candidates().map((candidate) => rowsOf(candidate, options)))).flat(),
});

async function rowsOf(
  { score, conversation: { turns, tools } }: Candidate,
  options: FormatOptions,
): Promise<readonly TableRow[]> {
  if (score === null) {
    options.omit("answers_without_score", 1);
    return [];
  }
  if (turns.length < 2) {
    options.omit("examples_without_prompt", 1);
    return [];
  }
  const messages = templateMessages(turns, options);
  return [
    {
      prompt: messages.slice(0, -1),
      completion: messages.slice(-1),
      label: score >= options.goodScore,
      tools: toolsText(tools),
      score,
      ...(await mediaCells(turns, options, ["image"])),
    },
  ];
}
