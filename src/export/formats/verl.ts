// verl's Parquet: prompts with a right answer for reinforcement learning, and conversations for its
// multi-turn fine-tuning. verl reads plain structs, and takes the place of an image from the text.

import { parse } from "node:path";
import type { JsonObject } from "../../task/json.ts";
import type { Columns, Conversation, FormatOptions, Turn } from "../contract.ts";
import { tableFormat } from "../files/table.ts";
import { markedText, mediaCells, mediaColumns } from "../media.ts";
import { omitDetails, openaiMessage, toolsText } from "../messages.ts";
import { groundTruthOf, promptOf } from "../prompts.ts";

const PROMPT: Columns = { role: "string", content: "string" };

const EXTRA: Columns = {
  split: "string",
  index: "int64",
  id: "string",
  row: "json",
  need_tools_kwargs: "bool",
  tools: "string",
};

export const verl = tableFormat({
  about: "reinforcement learning of verl: prompt, reward_model and extra_info, once for each row",
  endings: [".parquet"],
  structs: "always",
  once: true,
  columns: (options) => ({
    data_source: "string",
    prompt: { list: { struct: PROMPT } },
    ability: "string",
    reward_model: { struct: { style: "string", ground_truth: "string" } },
    agent_name: "string",
    extra_info: { struct: EXTRA },
    ...mediaColumns(options, ["image", "audio"]),
  }),
  rowsOf: async ({ number, run, record, conversation }, options, path) => {
    const turns = promptOf(conversation);
    if (turns.length === 0) {
      options.omit("examples_without_prompt", 1);
      return [];
    }
    const { row, id } = record;
    const truth = groundTruthOf(record, options);
    const { tools } = conversation;
    return [
      {
        data_source: textIn(row, "data_source") ?? run.name,
        prompt: turns.map((turn) => ({ role: turn.role, content: markedText(turn) })),
        ability: textIn(row, "ability") ?? "",
        reward_model: { style: truth === null ? "model" : "rule", ground_truth: truth ?? "" },
        // The loop that calls tools. Their schemas come from a file of the trainer, and arguments
        // for their creation (`tools_kwargs`) are of the trainer's own tools.
        agent_name: tools.length > 0 ? "tool_agent" : "single_turn_agent",
        extra_info: {
          ...{ split: parse(path).name, index: number, id, row },
          ...{ need_tools_kwargs: false, tools: toolsText(tools) },
        },
        ...(await mediaCells(turns, options, ["image", "audio"])),
      },
    ];
  },
});

export const verlSft = tableFormat({
  about: "multi-turn fine-tuning of verl: messages as structs, images",
  endings: [".parquet"],
  structs: "always",
  columns: (options) => ({
    messages: { list: "message" },
    ...mediaColumns(options, ["image"]),
  }),
  rowsOf: async ({ conversation }, options) => {
    const { turns } = conversation;
    omitUnread(conversation, options);
    return [
      {
        messages: turns.map(sftMessage),
        ...(await mediaCells(turns, options, ["image"])),
      },
    ];
  },
});

/** verl trains on every answer, and its tools would need one struct for the parameters of all. */
function omitUnread({ turns, tools }: Conversation, options: FormatOptions): void {
  omitDetails(turns, options);
  if (tools.length > 0) options.omit("tools", 1);
  options.omit("untrained_marks", turns.filter(isMasked).length);
}

function isMasked({ role, trained }: Turn): boolean {
  return role === "assistant" && !trained;
}

function sftMessage(turn: Turn): JsonObject {
  const images = turn.media?.filter(({ kind }) => kind === "image") ?? [];
  const { media: _, ...rest } = turn;
  return { ...openaiMessage(rest), content: markedText({ ...rest, media: images }) };
}

function textIn(row: JsonObject, name: string): string | null {
  const value = row[name];
  return typeof value === "string" ? value : null;
}
