// OpenRLHF: `messages` for fine-tuning, `prompt` and `label` for reinforcement learning. OpenRLHF
// takes the place of an image from the text, and gives chat templates no tools.

import type { JsonObject } from "../../task/json.ts";
import type { TableRow, Turn } from "../contract.ts";
import { tableFormat } from "../files/table.ts";
import { markedText, mediaCells, mediaColumns } from "../media.ts";
import { omitDetails, templateMessage } from "../messages.ts";
import { groundTruthOf, promptOf } from "../prompts.ts";

export const openrlhf = tableFormat({
  about: "OpenRLHF: messages for fine-tuning, prompt and label for reinforcement learning",
  columns: (options) => ({
    messages: { list: "message" },
    prompt: { list: "message" },
    label: "string",
    datasource: "string",
    ...mediaColumns(options, ["image"]),
  }),
  rowsOf: async ({ run, record, conversation }, options) => {
    const { turns, tools } = conversation;
    omitDetails(turns, options);
    if (tools.length > 0) options.omit("tools", 1);
    const rest = {
      prompt: promptOf(conversation).map(messageOf),
      label: groundTruthOf(record, options) ?? "",
      datasource: run.name,
      ...(await mediaCells(turns, options, ["image"])),
    };
    const messages = turns.map(messageOf);
    if (!options.masked) return [{ messages, ...rest }];
    // Without --data.multiturn, OpenRLHF trains on the last message alone.
    return turns.flatMap((turn, index): TableRow[] =>
      turn.trained ? [{ messages: messages.slice(0, index + 1), ...rest }] : [],
    );
  },
});

function messageOf(turn: Turn): JsonObject {
  const { media = [], ...rest } = turn;
  const images = media.filter(({ kind }) => kind === "image");
  return {
    ...templateMessage(rest),
    content: markedText({ ...rest, media: images }),
  };
}
