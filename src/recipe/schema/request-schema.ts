// Fields of a request's body that a recipe writes down: `sampling` of a role and `extra_body` of a
// model. Endpoints take fields of their own, so a field that is not known is sent as it is. Fields
// that matrix itself writes are refused, and so is a known field of another type, because servers
// report it only with the first request, or never.

import * as v from "valibot";
import { isJsonObject, type Json } from "../../task/json.ts";
import { settings } from "./value-schema.ts";

type Kind = "number" | "whole number" | "flag" | "text" | "table" | "list" | "texts";

/** Fields that common endpoints take, with the kinds of their values. */
const KNOWN: Readonly<Record<string, readonly Kind[]>> = {
  // OpenAI, Chat Completions API
  ...fields(["number"], "temperature top_p presence_penalty frequency_penalty"),
  ...fields(["whole number"], "max_tokens max_completion_tokens top_logprobs"),
  ...fields(["texts"], "stop"),
  ...fields(["flag"], "parallel_tool_calls store"),
  // vLLM takes a number of log probabilities, too
  ...fields(["flag", "whole number"], "logprobs"),
  ...fields(["text"], "user reasoning_effort verbosity service_tier prompt_cache_key"),
  ...fields(["text", "table"], "tool_choice"),
  ...fields(["table"], "logit_bias metadata response_format prediction audio web_search_options"),
  ...fields(["list"], "modalities"),
  // vLLM, SGLang
  ...fields(["number"], "min_p repetition_penalty length_penalty"),
  ...fields(["whole number"], "top_k min_tokens prompt_logprobs best_of priority"),
  ...fields(["flag"], "ignore_eos skip_special_tokens include_stop_str_in_output return_token_ids"),
  ...fields(["flag"], "spaces_between_special_tokens add_generation_prompt include_reasoning"),
  ...fields(["flag"], "continue_final_message use_beam_search return_tokens_as_token_ids"),
  ...fields(["list"], "stop_token_ids guided_choice allowed_token_ids bad_words"),
  ...fields(["table"], "chat_template_kwargs structured_outputs"),
  ...fields(["table", "text"], "guided_json"),
  ...fields(["text"], "guided_regex guided_grammar guided_decoding_backend chat_template"),
  // llama.cpp
  ...fields(
    ["number"],
    "typical_p repeat_penalty dynatemp_range dynatemp_exponent xtc_probability",
  ),
  ...fields(["number"], "xtc_threshold dry_multiplier dry_base mirostat_tau mirostat_eta"),
  ...fields(["whole number"], "repeat_last_n n_predict n_probs mirostat"),
  ...fields(["flag"], "cache_prompt"),
  ...fields(["text"], "grammar"),
  ...fields(["table"], "json_schema"),
  ...fields(["list"], "samplers"),
  // Ollama
  ...fields(["whole number"], "num_ctx num_predict num_keep"),
  ...fields(["table"], "options"),
  ...fields(["flag", "text"], "think"),
  ...fields(["text", "whole number"], "keep_alive"),
  // OpenRouter, DashScope, Anthropic by routers, Mistral
  ...fields(["number"], "top_a"),
  ...fields(["table"], "provider reasoning thinking"),
  ...fields(["list"], "models transforms plugins"),
  ...fields(["flag"], "enable_thinking safe_prompt enable_search"),
  ...fields(["whole number"], "thinking_budget random_seed"),
};

const WRITTEN: Readonly<Record<string, string>> = {
  n: "a request is for one answer; use trials, or the pattern best-of-n",
  stream: "set models.NAME.first_token_timeout, which turns streaming on",
  stream_options: "set models.NAME.first_token_timeout, which turns streaming on",
  messages: "the role's prompts or its request module write them",
  model: "set models.NAME.model",
  seed: "each request has a seed of its own; models.NAME.seed = false sends none",
  tools: "set roles.NAME.tools",
  functions: "set roles.NAME.tools",
};

/** Names of fields that endpoints are known to take. */
export const KNOWN_FIELDS: readonly string[] = Object.keys(KNOWN);

/** The advice for a field that matrix writes itself; null for any other field. */
export function insteadOf(field: string): string | null {
  return Object.hasOwn(WRITTEN, field) ? (WRITTEN[field] ?? null) : null;
}

/** A table of fields. Its issues name each field. */
export const requestFields = v.pipe(
  settings,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const [key, value] of Object.entries(dataset.value)) {
      const wrong = wrongField(key, value);
      if (wrong === null) continue;
      addIssue({
        message: wrong,
        input: value,
        path: [{ type: "object", origin: "value", input: dataset.value, key, value }],
      });
    }
  }),
  v.title("table"),
);

/** Says which values are allowed; null for a field that can be sent. */
function wrongField(key: string, value: Json): string | null {
  const instead = insteadOf(key);
  if (instead !== null) return `nothing, because matrix writes this field: ${instead}`;
  const kinds = Object.hasOwn(KNOWN, key) ? KNOWN[key] : undefined;
  if (kinds === undefined || kinds.some((kind) => isOf(kind, value))) return null;
  return kinds.map((kind) => WORDS[kind]).join(" or ");
}

const WORDS: Readonly<Record<Kind, string>> = {
  number: "a number",
  "whole number": "a whole number",
  flag: "true or false",
  text: "a text",
  table: "a table",
  list: "a list",
  texts: "a text or a list of texts",
};

function isOf(kind: Kind, value: Json): boolean {
  switch (kind) {
    case "number":
      return typeof value === "number";
    case "whole number":
      return Number.isInteger(value);
    case "flag":
      return typeof value === "boolean";
    case "text":
      return typeof value === "string";
    case "table":
      return isJsonObject(value);
    case "list":
      return Array.isArray(value);
    case "texts":
      return [value].flat().every((text) => typeof text === "string");
  }
}

function fields(kinds: readonly Kind[], names: string): Readonly<Record<string, readonly Kind[]>> {
  return Object.fromEntries(names.split(" ").map((name) => [name, kinds]));
}
