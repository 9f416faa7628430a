// Fields of a request's body that a recipe writes: which are refused, and with which words.

import { expect, test } from "bun:test";
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
