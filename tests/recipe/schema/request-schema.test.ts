// Fields of a request's body that a recipe writes: which are refused, and with which words.

import { expect, test } from "bun:test";
import { KNOWN_FIELDS } from "../../../src/recipe/schema/request-schema.ts";
import { validateRecipe } from "../../../src/recipe/validate.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";

const complaints = (sampling: JsonObject, extra_body: JsonObject = {}) =>
  validateRecipe({
    name: "r",
    dataset: { path: "/d" },
    models: { m: { kind: "openai", base_url: "http://a/v1", model: "x", extra_body } },
    roles: { a: { agent: "llm", model: "m", sampling } },
    orchestrator: { pattern: "sequence", roles: ["a"] },
  }).complaints.map(({ key, message }) => `${key}: ${message}`);

const right: readonly (readonly [field: string, ...values: readonly Json[]])[] = [
  ["temperature", 0, 1, 0.5],
  ["max_tokens", 1, 512],
  ["stop", "x", ["x", "y"], []],
  ["logprobs", true, 5],
  ["tool_choice", "auto", { type: "function" }],
  ["logit_bias", {}],
  ["stop_token_ids", [1]],
  ["ignore_eos", false],
  ["reasoning_effort", "low"],
  ["my_own_field", 1, "x", null, [], {}],
];
for (const [field, ...values] of right) {
  test(`${field} may be ${values.map((value) => JSON.stringify(value)).join(" or ")}`, () => {
    for (const value of values) {
      expect(complaints({ [field]: value })).toEqual([]);
      expect(complaints({}, { [field]: value })).toEqual([]);
    }
  });
}

const wrong: readonly (readonly [field: string, value: Json, allowed: string])[] = [
  ["temperature", "0.5", "a number"],
  ["max_tokens", "5", "a whole number"],
  ["max_tokens", 5.5, "a whole number"],
  ["stop", 5, "a text or a list of texts"],
  ["stop", ["x", 5], "a text or a list of texts"],
  ["logprobs", "yes", "true or false or a whole number"],
  ["tool_choice", 5, "a text or a table"],
  ["logit_bias", [], "a table"],
  ["stop_token_ids", 5, "a list"],
  ["ignore_eos", "true", "true or false"],
  ["reasoning_effort", 3, "a text"],
];
for (const [field, value, allowed] of wrong) {
  test(`${field} = ${JSON.stringify(value)} is refused`, () => {
    const found = JSON.stringify(value);
    expect(complaints({ [field]: value })).toEqual([
      `roles.a.sampling.${field}: found ${found}; allowed: ${allowed}`,
    ]);
    expect(complaints({}, { [field]: value })).toEqual([
      `models.m.extra_body.${field}: found ${found}; allowed: ${allowed}`,
    ]);
  });
}

/** Every known field with a value that it takes. */
const KNOWN: JsonObject = {
  ...of(0.5, "temperature top_p presence_penalty frequency_penalty min_p repetition_penalty"),
  ...of(0.5, "length_penalty typical_p repeat_penalty dynatemp_range dynatemp_exponent"),
  ...of(0.5, "xtc_probability xtc_threshold dry_multiplier dry_base mirostat_tau mirostat_eta"),
  ...of(0.5, "top_a"),
  ...of(1, "max_tokens max_completion_tokens top_logprobs top_k min_tokens prompt_logprobs"),
  ...of(1, "best_of priority repeat_last_n n_predict n_probs mirostat num_ctx num_predict"),
  ...of(1, "num_keep thinking_budget random_seed logprobs keep_alive"),
  ...of(true, "parallel_tool_calls store ignore_eos skip_special_tokens return_token_ids"),
  ...of(true, "include_stop_str_in_output spaces_between_special_tokens include_reasoning"),
  ...of(true, "add_generation_prompt continue_final_message use_beam_search cache_prompt"),
  ...of(true, "return_tokens_as_token_ids enable_thinking safe_prompt enable_search think"),
  ...of("x", "stop user reasoning_effort verbosity service_tier prompt_cache_key tool_choice"),
  ...of("x", "guided_json guided_regex guided_grammar guided_decoding_backend chat_template"),
  ...of("x", "grammar"),
  ...of({}, "logit_bias metadata response_format prediction audio web_search_options"),
  ...of({}, "chat_template_kwargs structured_outputs json_schema options provider reasoning"),
  ...of({}, "thinking"),
  ...of([], "modalities stop_token_ids guided_choice allowed_token_ids bad_words samplers"),
  ...of([], "models transforms plugins"),
};
function of(value: Json, names: string): JsonObject {
  return Object.fromEntries(names.split(" ").map((name) => [name, value]));
}

test("each known field takes values of its kind, and null is the value of none", () => {
  expect(Object.keys(KNOWN).sort()).toEqual([...KNOWN_FIELDS].sort());
  expect(complaints(KNOWN)).toEqual([]);
  const nulls = Object.fromEntries(KNOWN_FIELDS.map((name) => [name, null]));
  expect(complaints(nulls)).toHaveLength(KNOWN_FIELDS.length);
});

test("fields that matrix writes are refused with what to set instead", () => {
  const written = [
    "n",
    "stream",
    "stream_options",
    "messages",
    "model",
    "seed",
    "tools",
    "functions",
  ];
  for (const field of written)
    expect(complaints({ [field]: 1 })).toEqual([
      expect.stringMatching(
        new RegExp(
          `^roles.a.sampling.${field}: found 1; allowed: nothing, because matrix writes this field: .+`,
        ),
      ),
    ]);
});

test("every wrong field is reported at once", () => {
  expect(complaints({ n: 2, max_tokens: "5", temperature: "x" })).toHaveLength(3);
});
