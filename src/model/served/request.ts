// The body of a request to the simulated endpoint, parsed: what the simulated model is asked, once
// for each choice, and how the answer is to be sent.

import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { deriveSeed } from "../../task/seed.ts";
import type { ChatMessage, ChatRequest } from "../contract.ts";
import {
  either,
  FLAG,
  isText,
  listOf,
  oneOf,
  parseBody,
  SAMPLING,
  TEXT,
  type Wrong,
  wholeFrom,
} from "./checks.ts";

export interface ServedRequest {
  /** `chat` for Chat Completions, `text` for the older Completions. */
  readonly kind: "chat" | "text";
  /** One request for each choice of the answer. */
  readonly asked: readonly ChatRequest[];
  /** The name that the client gave; the served model's own when it gave none. */
  readonly model: string;
  readonly stream: boolean;
  /** True when the stream is to end with the usage. */
  readonly streamUsage: boolean;
  /** Alternatives that are given for each token beside its own; null for no log probabilities. */
  readonly alternatives: number | null;
  /** True when a text begins with its prompt. */
  readonly echo: boolean;
}

export type Parsed = ServedRequest | { readonly wrong: Wrong };

const ROLES = ["system", "developer", "user", "assistant", "tool", "function"];
/** Completions have this many tokens unless the client says otherwise. */
const TEXT_TOKENS_MAX = 16;

const CHAT = {
  ...SAMPLING,
  logprobs: FLAG,
  top_logprobs: wholeFrom(0, 20),
  parallel_tool_calls: FLAG,
  tools: listOf("functions", (tool) => nameOfTool(tool) !== null),
  tool_choice: either(oneOf("none", "auto", "required"), [
    '{"type": "function", "function": {"name": …}}',
    (choice) => nameOfTool(choice) !== null,
  ]),
} as const;

const TEXTS = {
  ...SAMPLING,
  logprobs: wholeFrom(0, 20),
  echo: FLAG,
  suffix: TEXT,
  best_of: wholeFrom(1),
} as const;

export function parseChatRequest(text: string, modelName: string): Parsed {
  const parsed = parseBody(text, CHAT);
  if ("wrong" in parsed) return parsed;
  const { body } = parsed;
  const wrong =
    wrongMessages(body["messages"]) ?? wrongTools(body) ?? wrongFormat(body["response_format"]);
  if (wrong !== null) return { wrong };
  const { messages, seed, tools, response_format: format, model: _, ...rest } = body;
  const { stream: __, stream_options: ___, n: ____, ...sampling } = rest;
  const schema = schemaOf(format);
  const request: ChatRequest = {
    messages: messages as unknown as ChatMessage[],
    // Without a seed, the rest of the request decides the answer.
    seed: typeof seed === "number" ? seed : 0,
    sampling: { ...sampling, ...(isObjectFormat(format) ? { response_format: format } : {}) },
    origin: null,
    ...(tools === undefined ? {} : { tools: tools as JsonObject[] }),
    ...(schema === undefined ? {} : { schema }),
  };
  return {
    kind: "chat",
    asked: choicesOf(request, body["n"]),
    ...sending(body, modelName),
    alternatives: body["logprobs"] === true ? Number(body["top_logprobs"] ?? 0) : null,
    echo: false,
  };
}

export function parseTextRequest(text: string, modelName: string): Parsed {
  const parsed = parseBody(text, TEXTS);
  if ("wrong" in parsed) return parsed;
  const { body } = parsed;
  const prompts = promptsOf(body["prompt"]);
  if (prompts === null)
    return {
      wrong: {
        message: "prompt must be a text, a list of texts, or tokens, and not empty",
        param: "prompt",
      },
    };
  const { prompt: _, seed, model: __, stream: ___, stream_options: ____, ...rest } = body;
  const { n, echo, ...sampling } = rest;
  const requests = prompts.flatMap((prompt) =>
    choicesOf(
      {
        messages: [{ role: "user", content: prompt }],
        seed: typeof seed === "number" ? seed : 0,
        sampling: { max_tokens: TEXT_TOKENS_MAX, ...sampling },
        origin: null,
      },
      n,
    ),
  );
  return {
    kind: "text",
    asked: requests,
    ...sending(body, modelName),
    alternatives: typeof body["logprobs"] === "number" ? body["logprobs"] : null,
    echo: echo === true,
  };
}

function sending(
  { model, stream, stream_options: options }: JsonObject,
  modelName: string,
): Pick<ServedRequest, "model" | "stream" | "streamUsage"> {
  return {
    model: isText(model) ? model : modelName,
    stream: stream === true,
    streamUsage: isJsonObject(options) && options["include_usage"] === true,
  };
}

/** The first choice is that of a request for one; each other one has a seed of its own. */
function choicesOf(request: ChatRequest, n: Json | undefined): ChatRequest[] {
  return Array.from({ length: typeof n === "number" ? n : 1 }, (_, index) =>
    index === 0 ? request : { ...request, seed: deriveSeed(request.seed, "choice", index) },
  );
}

function wrongMessages(messages: Json | undefined): Wrong | null {
  if (!Array.isArray(messages) || messages.length === 0)
    return { message: "messages must be a list with at least one message", param: "messages" };
  for (const [index, message] of (messages as readonly Json[]).entries()) {
    const at = `messages[${index}]`;
    if (!isJsonObject(message)) return { message: `${at} must be an object`, param: at };
    const { role, content = null, tool_call_id: id } = message;
    if (!isText(role) || !ROLES.includes(role))
      return { message: `${at}.role must be one of ${ROLES.join(", ")}`, param: `${at}.role` };
    const isParts = Array.isArray(content) && (content as Json[]).every(isPart);
    if (!isText(content) && !isParts && !(content === null && role === "assistant"))
      return {
        message: `${at}.content must be a text or a list of parts with a type`,
        param: `${at}.content`,
      };
    if (role === "tool" && !isText(id))
      return {
        message: `${at}.tool_call_id must be the id of the call that was answered`,
        param: `${at}.tool_call_id`,
      };
  }
  return null;
}

function isPart(part: Json): boolean {
  return isJsonObject(part) && isText(part["type"]);
}

function wrongTools({ tools, tool_choice: choice, top_logprobs, logprobs }: JsonObject) {
  if (top_logprobs !== undefined && logprobs !== true)
    return { message: "top_logprobs needs logprobs = true", param: "top_logprobs" };
  if (choice === undefined || choice === "none" || choice === "auto") return null;
  const names = Array.isArray(tools) ? (tools as readonly Json[]).map(nameOfTool) : [];
  if (names.length === 0) return { message: "tool_choice needs tools", param: "tool_choice" };
  const name = nameOfTool(choice);
  return name === null || names.includes(name)
    ? null
    : { message: `tool_choice names ${name}, which is not one of the tools`, param: "tool_choice" };
}

/** The name of a function, or of the choice of one. */
function nameOfTool(tool: Json): string | null {
  if (!isJsonObject(tool) || tool["type"] !== "function" || !isJsonObject(tool["function"]))
    return null;
  const { name } = tool["function"];
  return isText(name) && name !== "" ? name : null;
}

function wrongFormat(format: Json | undefined): Wrong | null {
  if (format === undefined) return null;
  const type = isJsonObject(format) ? format["type"] : undefined;
  if (type === "text" || type === "json_object") return null;
  if (type === "json_schema" && schemaOf(format) !== undefined) return null;
  return {
    message:
      'response_format must be {"type": "text"}, {"type": "json_object"} or ' +
      '{"type": "json_schema", "json_schema": {"schema": {…}}}',
    param: "response_format",
  };
}

function isObjectFormat(format: Json | undefined): format is JsonObject {
  return isJsonObject(format) && format["type"] === "json_object";
}

function schemaOf(format: Json | undefined): JsonObject | undefined {
  const named = isJsonObject(format) ? format["json_schema"] : undefined;
  const schema = isJsonObject(named) ? named["schema"] : undefined;
  return isJsonObject(schema) ? schema : undefined;
}

/** A text, several texts, or tokens, which are as good as text to the simulated model. */
function promptsOf(prompt: Json | undefined): readonly string[] | null {
  if (isText(prompt)) return [prompt];
  if (!Array.isArray(prompt) || prompt.length === 0) return null;
  const list = prompt as readonly Json[];
  if (list.every(isText)) return list;
  if (list.every(Number.isInteger)) return [list.join(" ")];
  const isTokens = (tokens: Json): tokens is Json[] =>
    Array.isArray(tokens) && tokens.length > 0 && tokens.every(Number.isInteger);
  return list.every(isTokens) ? list.map((tokens) => tokens.join(" ")) : null;
}
