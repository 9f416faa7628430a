// ShareGPT as LLaMA-Factory and axolotl read it: `conversations` of {from, value}, with the system
// prompt and the tools in their own columns. LLaMA-Factory drops a conversation in which the two
// sides do not alternate, so neighbours of one side become one turn.

import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, parse } from "node:path";
import { isJsonObject, type JsonObject } from "../../task/json.ts";
import { thinkText, withResultsInOrder } from "../call-turns.ts";
import type { FormatOptions, Medium, Turn } from "../contract.ts";
import { storageFailed } from "../files/storage.ts";
import { tableFormat } from "../files/table.ts";
import { contentOf, markedText, mediaCells, mediaColumns } from "../media.ts";
import { omitDetails } from "../messages.ts";
import { argumentsOf } from "../tool-arguments.ts";

export const sharegpt = tableFormat({
  about: "ShareGPT of LLaMA-Factory and axolotl: conversations of {from, value}",
  structs: "never",
  columns: (options) => ({
    conversations: {
      list: {
        struct: { from: "string", value: "string", ...(options.masked ? { train: "bool" } : {}) },
      },
    },
    system: "string",
    tools: "string",
    ...mediaColumns(options, ["image", "audio"]),
  }),
  rowsOf: async ({ conversation: { turns, tools } }, options, path) => {
    omitDetails(turns, options);
    const [first, ...rest] = turns;
    const system = first?.role === "system" ? first.content : null;
    const said = alternating(withResultsInOrder(system === null ? turns : rest).map(saidBy));
    const conversations = said.map(({ from, value, train }) => ({
      from,
      value,
      ...(options.masked ? { train } : {}),
    }));
    const place = path.endsWith(".parquet") ? undefined : besideOf(path, options);
    return [
      {
        conversations,
        system: system ?? "",
        tools: tools.length === 0 ? "" : JSON.stringify(tools.map(withParameters)),
        ...(await mediaCells(turns, options, ["image", "audio"], place)),
      },
    ];
  },
});

interface Said {
  readonly from: "system" | "human" | "observation" | "gpt" | "function_call";
  readonly value: string;
  readonly train: boolean;
}

function saidBy(turn: Turn): Said {
  const train = turn.trained;
  switch (turn.role) {
    case "system":
    case "user":
      return { from: "human", value: markedText(turn), train };
    case "tool":
      return { from: "observation", value: turn.content ?? "", train };
    case "assistant":
      if (turn.tool_calls === undefined)
        return { from: "gpt", value: thinkText(turn) + (turn.content ?? ""), train };
      return { from: "function_call", value: callText(turn, turn.tool_calls), train };
  }
}

/**
 * Calls as LLaMA-Factory finds them: the JSON alone, after reasoning, or between tags after text.
 * One call is an object, several are a list.
 */
function callText(turn: Turn, calls: NonNullable<Turn["tool_calls"]>): string {
  const objects = calls.map(({ function: { name, arguments: text } }) => ({
    name,
    arguments: argumentsOf(text),
  }));
  const json = JSON.stringify(objects.length === 1 ? objects[0] : objects);
  const content = turn.content ?? "";
  if (content === "") return thinkText(turn) + json;
  // Only these tags end the JSON, also where an argument has them in its text.
  const tagged = json.replaceAll("</tool_call>", "<\\/tool_call>");
  return `${thinkText(turn)}${content}<tool_call>${tagged}</tool_call>`;
}

const SIDE_OF_MODEL: ReadonlySet<Said["from"]> = new Set(["gpt", "function_call"]);

/** Turns that alternate between the user's side and the model's, and begin with the user's. */
function alternating(said: readonly Said[]): readonly Said[] {
  const turns: Said[] = [];
  for (const one of said) {
    const last = turns.at(-1);
    const isModel = SIDE_OF_MODEL.has(one.from);
    if (last === undefined || SIDE_OF_MODEL.has(last.from) !== isModel) {
      if (last === undefined && isModel) turns.push(silence("human"));
      turns.push(one);
    } else if (one.from === last.from && one.train === last.train && one.from !== "function_call")
      turns[turns.length - 1] = { ...last, value: joined(last, one) };
    else if (isModel)
      turns.push(silence(last.from === "function_call" ? "observation" : "human"), one);
    // A user who speaks after a tool is heard with its result.
    else turns[turns.length - 1] = { ...last, value: `${last.value}\n\n${one.value}` };
  }
  return turns;
}

/** Results of parallel calls are divided as LLaMA-Factory divides them. */
function joined(last: Said, one: Said): string {
  const between = one.from === "observation" ? "\n</tool_response>\n<tool_response>\n" : "\n\n";
  return `${last.value}${between}${one.value}`;
}

function silence(from: Said["from"]): Said {
  return { from, value: "", train: false };
}

/** A tool with its parameters, which LLaMA-Factory reads of every tool. */
function withParameters(tool: JsonObject): JsonObject {
  const described = tool["function"];
  if (!isJsonObject(described)) return tool;
  const given = isJsonObject(described["parameters"]) ? described["parameters"] : {};
  const parameters = { type: "object", ...given, properties: given["properties"] ?? {} };
  return { ...tool, function: { ...described, parameters } };
}

/**
 * A place for the media of a file of lines, whose rows have paths: a folder beside it. Paths are
 * relative to the file.
 */
function besideOf(
  path: string,
  { outputName }: FormatOptions,
): (medium: Medium) => Promise<string> {
  const folder = join(dirname(path), `${parse(path).name}-media`);
  return async ({ url }) => {
    const content = contentOf(url);
    if (content === null) return url;
    const digest = createHash("sha256").update(content.bytes).digest("hex");
    const name = `${digest}.${content.ending}`;
    await mkdir(folder, { recursive: true }).catch(storageFailed(folder));
    await writeFile(join(folder, name), content.bytes).catch(storageFailed(folder));
    return join(outputName === null ? basename(folder) : `${outputName}-media`, name);
  };
}
