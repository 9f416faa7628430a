// The simulated model. The same request always gives the same text, latency and failure, because
// all of them are drawn by a random source that is seeded with the request; so a run repeats. Only
// the failure also depends on the number of the try, so that a retry can succeed. The same code
// answers in process and behind `matrix model serve`.

import { MatrixError, messageOf } from "../error.ts";
import type { SimulatedModelConfig } from "../recipe/schema/model-schema.ts";
import { isJsonObject, type JsonObject } from "../task/json.ts";
import { type Later, whenHere } from "../task/later.ts";
import { createRandom, deriveSeed } from "../task/seed.ts";
import type { Usage } from "../task/task.ts";
import type { ChatAnswer, ChatRequest } from "./contract.ts";
import { sample } from "./distribution.ts";
import { drawInstance } from "./instance.ts";
import { drawWords } from "./words.ts";

/** Arguments of a reply template or module beside the request. */
export interface Simulation {
  /** Uniform in [0, 1), seeded by the request. */
  readonly random: () => number;
  /** The model's `with` table. */
  readonly settings: JsonObject;
}

/** A reply: text, or a whole assistant message. */
export type Reply = string | ChatAnswer["message"];

/** Writes a reply. */
export type Replies = (request: ChatRequest, simulation: Simulation) => Reply;

/** Writes a reply in another process, which draws from a seed. */
export interface RemoteReplies {
  readonly isRemote: true;
  write(request: ChatRequest, settings: JsonObject, seed: number): Promise<Reply>;
}

export type Failure = (typeof FAILURES)[number];

export interface SimulatedAnswer extends ChatAnswer {
  /** Milliseconds until the whole answer is there. */
  readonly durationMs: number;
  /** The failure that takes the place of the answer; null when there is none. */
  readonly failure: Failure | null;
}

/** `system_fingerprint` of a served answer. Clients know a simulated model by it. */
export const SIMULATED_FINGERPRINT = "simulated";
/** A rough value for English, the same for every text. */
export const CHARACTERS_PER_TOKEN = 4;
/** Counted for each message beside its text. */
const MESSAGE_TOKENS = 4;
const FAILURES = [
  "rate_limited",
  "server_error",
  "timeout",
  "malformed",
  "lost",
  "stalled",
  "context_length",
] as const;
/** Drawn after the failures, so that their rates do not change which requests fail. */
const HELD_BACK = ["refused", "content_filtered"] as const;

const REFUSAL: ChatAnswer["message"] = {
  role: "assistant",
  content: null,
  refusal: "I cannot help with that (simulated).",
};

/** The answer to a request that is longer than the context. */
export const TOO_LONG: ChatAnswer = {
  message: {
    role: "assistant",
    content: null,
    error: "the request is longer than the simulated model's maximum context length",
  },
  finishReason: "context_length",
  usage: { requests: 1, prompt_tokens: 0, completion_tokens: 0 },
};

/** Draws the answer to a request. The caller waits for `durationMs` and fails as `failure` says. */
export function simulate(
  config: SimulatedModelConfig,
  replies: Replies | null,
  request: ChatRequest,
  tries: number,
): SimulatedAnswer;
export function simulate(
  config: SimulatedModelConfig,
  replies: Replies | RemoteReplies | null,
  request: ChatRequest,
  tries: number,
): Later<SimulatedAnswer>;
export function simulate(
  config: SimulatedModelConfig,
  replies: Replies | RemoteReplies | null,
  request: ChatRequest,
  tries: number,
): Later<SimulatedAnswer> {
  const seed = deriveSeed(
    request.seed,
    JSON.stringify(request.messages),
    JSON.stringify(request.sampling),
  );
  const random = createRandom(seed);
  const wrong = drawFailure(config.errors, createRandom(deriveSeed(seed, "failure", tries)));
  const written = wrong === "refused" ? REFUSAL : write(config, replies, request, { random, seed });
  return whenHere(written, (message) => answerWith(config, request, { message, wrong, random }));
}

function answerWith(
  config: SimulatedModelConfig,
  request: ChatRequest,
  drawn: {
    readonly message: ChatAnswer["message"];
    readonly wrong: ReturnType<typeof drawFailure>;
    readonly random: () => number;
  },
): SimulatedAnswer {
  const { message: written, wrong, random } = drawn;
  const maxTokens = limitOf(request.sampling);
  const cut = written.content !== null && countTokens(written.content) > maxTokens;
  const content = cut
    ? (written.content ?? "").slice(0, maxTokens * CHARACTERS_PER_TOKEN)
    : written.content;
  const message = { ...written, content };
  const usage = estimateUsage(request, message);
  const streamingMs =
    config.tokens_per_second === undefined
      ? 0
      : (usage.completion_tokens / config.tokens_per_second) * 1000;
  return {
    message,
    finishReason:
      wrong === "content_filtered"
        ? "content_filter"
        : cut
          ? "length"
          : "tool_calls" in written
            ? "tool_calls"
            : "stop",
    usage,
    durationMs: sample(config.latency, random) + streamingMs,
    failure: wrong === "refused" || wrong === "content_filtered" ? null : wrong,
  };
}

/** Estimates what a call would have been billed for. */
export function estimateUsage({ messages }: ChatRequest, message: ChatAnswer["message"]): Usage {
  const calls = message["tool_calls"];
  return {
    requests: 1,
    prompt_tokens: messages.reduce(
      (sum, { content }) => sum + countTokens(textOf(content)) + MESSAGE_TOKENS,
      0,
    ),
    completion_tokens:
      countTokens(message.content ?? "") +
      (calls === undefined ? 0 : countTokens(JSON.stringify(calls))),
  };
}

/** The text of a message. Parts count as their JSON, so that longer content costs more. */
function textOf(content: ChatRequest["messages"][number]["content"]): string {
  return content === null || typeof content === "string"
    ? (content ?? "")
    : JSON.stringify(content);
}

/** Counts a token for every four characters that were begun. */
export function countTokens(text: string): number {
  return Math.ceil(text.length / CHARACTERS_PER_TOKEN);
}

function write(
  config: SimulatedModelConfig,
  replies: Replies | RemoteReplies | null,
  request: ChatRequest,
  { random, seed }: { readonly random: () => number; readonly seed: number },
): Later<ChatAnswer["message"]> {
  const tool = wantedTool(request, random);
  if (replies === null)
    return tool === null
      ? { role: "assistant", content: drawReply(config, request, random) }
      : callOf(tool, random);
  const reply =
    "isRemote" in replies
      ? replies.write(request, config.with, deriveSeed(seed, "replies"))
      : replyOf(replies, request, { random, settings: config.with });
  return whenHere(reply, (said) => {
    const message = typeof said === "string" ? { role: "assistant" as const, content: said } : said;
    return tool === null || "tool_calls" in message ? message : callOf(tool, random);
  });
}

function replyOf(replies: Replies, request: ChatRequest, simulation: Simulation): Reply {
  try {
    return replies(request, simulation);
  } catch (cause) {
    if (cause instanceof MatrixError) throw cause;
    throw new MatrixError(
      "model_refused_request",
      `the simulated model's replies failed: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** The tool that the request demands by `tool_choice`; null when the model may answer in words. */
function wantedTool(
  { tools = [], sampling }: ChatRequest,
  random: () => number,
): JsonObject | null {
  const { tool_choice: choice } = sampling;
  const functions = tools.map((tool) => tool["function"]).filter(isJsonObject);
  if (choice === "required") return functions[Math.floor(random() * functions.length)] ?? null;
  const chosen = isJsonObject(choice) ? choice["function"] : undefined;
  if (!isJsonObject(chosen)) return null;
  return functions.find(({ name }) => name === chosen["name"]) ?? null;
}

/** A call with arguments that fit the parameters of the tool. */
function callOf({ name, parameters }: JsonObject, random: () => number): ChatAnswer["message"] {
  const drawn = drawInstance(
    { type: "object", ...(isJsonObject(parameters) ? parameters : {}) },
    random,
    () => drawWords(3, random),
  );
  const id = `call_${Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, "0")}`;
  const called = { name: String(name), arguments: JSON.stringify(drawn) };
  return {
    role: "assistant",
    content: null,
    tool_calls: [{ id, type: "function", function: called }],
  };
}

function drawReply(
  config: SimulatedModelConfig,
  { schema, sampling }: ChatRequest,
  random: () => number,
): string {
  const { response_format: format } = sampling;
  if (schema === undefined && isJsonObject(format) && format["type"] === "json_object")
    return JSON.stringify({ answer: drawWords(5, random) });
  if (schema !== undefined)
    return JSON.stringify(drawInstance(schema, random, () => drawWords(5, random)));
  return drawWords(Math.max(1, Math.round(sample(config.output_tokens, random))), random);
}

/** The most tokens that the answer may have; infinite when the request sets no limit. */
export function limitOf(sampling: JsonObject): number {
  const limit = sampling["max_completion_tokens"] ?? sampling["max_tokens"];
  return typeof limit === "number" ? limit : Number.POSITIVE_INFINITY;
}

function drawFailure(
  rates: SimulatedModelConfig["errors"],
  random: () => number,
): Failure | (typeof HELD_BACK)[number] | null {
  let rest = random();
  for (const failure of [...FAILURES, ...HELD_BACK]) {
    rest -= rates[failure];
    if (rest < 0) return failure;
  }
  return null;
}
