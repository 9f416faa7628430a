// The tokens and the cost that an endpoint states for an answer, in one shape. Providers differ in
// names and in what a count includes. Here, as with OpenAI, a prompt includes its cached tokens and
// an answer includes its reasoning.

import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { roundMoney } from "../../task/spent.ts";
import type { Usage } from "../../task/task.ts";

/** A request that claims more tokens than this has counted none. */
const TOKENS_MAX = 1e9;
/** A cost above this many of its currency is no cost of one answer. */
const COST_MAX = 1e5;
/** The unit in which xAI states costs, in a dollar. */
const TICKS = 1e10;

/** Names of each count, by provider. A dot leads into an object. The largest value counts. */
const NAMES = {
  prompt: ["prompt_tokens", "input_tokens", "promptTokenCount", "prompt_token_count"],
  completion: [
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount", // Gemini
    "candidates_token_count",
  ],
  total: ["total_tokens", "totalTokenCount", "total_token_count"],
  cached: [
    "prompt_tokens_details.cached_tokens", // OpenAI, vLLM, SGLang, OpenRouter, litellm
    "input_tokens_details.cached_tokens", // the Responses API
    "prompt_cache_hit_tokens", // DeepSeek
    "cache_read_input_tokens", // Anthropic, litellm
    "cached_tokens", // Moonshot
    "cachedContentTokenCount", // Gemini
    "cached_content_token_count",
  ],
  written: [
    "prompt_tokens_details.cache_write_tokens", // OpenRouter
    "prompt_tokens_details.cache_creation_tokens", // litellm
    "prompt_tokens_details.cache_creation_input_tokens", // Qwen
    "input_tokens_details.cache_write_tokens",
    "cache_creation_input_tokens", // Anthropic, litellm
  ],
  reasoning: [
    "completion_tokens_details.reasoning_tokens", // OpenAI, DeepSeek, xAI, OpenRouter, litellm
    "output_tokens_details.reasoning_tokens", // the Responses API
    "reasoning_tokens", // SGLang
    "thoughtsTokenCount", // Gemini
    "thoughts_token_count",
  ],
} as const;

/** The usage that a completion states; counts that it does not state are 0. */
export function usageOf(completion: JsonObject, choice: JsonObject): Usage {
  const usage = findUsage(completion, choice);
  const cost = statedCost(usage);
  return {
    requests: 1,
    ...countsOf(usage),
    ...(cost === null ? {} : { stated_cost: cost }),
  };
}

/** The usage with the cost that a litellm proxy states in a header of the response. */
export function withHeaderCost(
  usage: Usage,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Usage {
  const text = headers["x-litellm-response-cost"];
  const cost = typeof text === "string" ? costFrom(Number.parseFloat(text)) : null;
  // The proxy states 0 for a model whose price it does not know.
  return usage.stated_cost !== undefined || cost === null || cost === 0
    ? usage
    : { ...usage, stated_cost: cost };
}

/** Gemini has a name of its own; Moonshot and Groq put the usage of a stream elsewhere. */
function findUsage(completion: JsonObject, choice: JsonObject): JsonObject {
  const { usage, usageMetadata, usage_metadata, x_groq } = completion;
  const places = [
    usage,
    usageMetadata,
    usage_metadata,
    choice["usage"],
    isJsonObject(x_groq) ? x_groq["usage"] : null,
  ];
  return places.find(isJsonObject) ?? {};
}

function countsOf(usage: JsonObject): Omit<Usage, "requests" | "stated_cost"> {
  const count = (name: keyof typeof NAMES) =>
    Math.max(...NAMES[name].map((path) => tokensFrom(valueAt(usage, path))));
  let [prompt, completion] = [count("prompt"), count("completion")];
  const [total, cached, written, reasoning] = [
    count("total"),
    count("cached"),
    count("written"),
    count("reasoning"),
  ];
  if (isCachedApart(usage, { prompt, completion, total, cached, written, reasoning }))
    prompt += cached + written;
  // Gemini and xAI leave the reasoning out of the answer's tokens, but not out of the total.
  const hidden = total - prompt - completion;
  if (hidden > 0) completion += hidden;
  else if (reasoning > completion) completion += reasoning;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    ...positive("cached_tokens", Math.min(cached, prompt)),
    ...positive("cache_write_tokens", Math.min(written, prompt - Math.min(cached, prompt))),
    ...positive("reasoning_tokens", Math.min(Math.max(reasoning, hidden), completion)),
  };
}

/** Anthropic counts cached tokens beside the prompt's own; others count them as a part of it. */
function isCachedApart(
  usage: JsonObject,
  counts: Readonly<Record<keyof typeof NAMES, number>>,
): boolean {
  const { prompt, completion, total, cached, written, reasoning } = counts;
  const apart = cached + written;
  if (apart === 0) return false;
  const isAnthropic =
    usage["prompt_tokens"] === undefined &&
    (usage["cache_read_input_tokens"] !== undefined ||
      usage["cache_creation_input_tokens"] !== undefined);
  const hidden = total - prompt - completion;
  return isAnthropic || apart > prompt || (hidden === apart && hidden !== reasoning);
}

function statedCost(usage: JsonObject): number | null {
  const { cost, estimated_cost: estimate, cost_in_usd_ticks: ticks } = usage;
  // OpenRouter states its fee alone when the user's own key pays the provider.
  const upstream =
    usage["is_byok"] === true
      ? costFrom(valueAt(usage, "cost_details.upstream_inference_cost") ?? null)
      : null;
  const stated =
    costFrom(cost ?? null) ??
    costFrom(isJsonObject(cost) ? (cost["total_cost"] ?? null) : null) ?? // Perplexity
    costFrom(typeof ticks === "number" ? ticks / TICKS : null) ?? // xAI
    costFrom(estimate ?? null); // DeepInfra
  return stated === null ? null : roundMoney(stated + (upstream ?? 0));
}

function costFrom(value: Json): number | null {
  return typeof value === "number" && value >= 0 && value <= COST_MAX ? roundMoney(value) : null;
}

function valueAt(table: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = table;
  for (const key of path.split(".")) value = isJsonObject(value) ? value[key] : undefined;
  return value;
}

/** A value that is not a plausible count of tokens counts as 0. */
function tokensFrom(value: Json | undefined): number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= TOKENS_MAX
    ? value
    : 0;
}

function positive<Name extends string>(name: Name, value: number): { [Key in Name]?: number } {
  return value > 0 ? ({ [name]: value } as { [Key in Name]: number }) : {};
}
