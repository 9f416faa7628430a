// The usage of a completion, in the shapes of the providers: what they call it, where they put it,
// what they count in it, and the costs that they state.

import { describe, expect, test } from "bun:test";
import { usageOf, withHeaderCost } from "../../../src/model/endpoint/usage.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import type { Usage } from "../../../src/task/task.ts";

const read = (usage: JsonObject, choice: JsonObject = {}) => usageOf({ usage }, choice);
const counted = (more: Partial<Usage>): Usage => ({
  requests: 1,
  prompt_tokens: 100,
  completion_tokens: 20,
  ...more,
});

const shapes: readonly (readonly [provider: string, usage: JsonObject, expected: Usage])[] = [
  [
    "OpenAI and vLLM, which count cached and reasoning tokens as parts",
    {
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 90, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 15 },
    },
    counted({ cached_tokens: 90, reasoning_tokens: 15 }),
  ],
  [
    "DeepSeek",
    {
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_cache_hit_tokens: 64,
      prompt_cache_miss_tokens: 36,
    },
    counted({ cached_tokens: 64 }),
  ],
  [
    "litellm before Anthropic, whose prompt includes what was cached",
    {
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      cache_read_input_tokens: 60,
      cache_creation_input_tokens: 30,
      prompt_tokens_details: { cached_tokens: 60, cache_creation_tokens: 30 },
    },
    counted({ cached_tokens: 60, cache_write_tokens: 30 }),
  ],
  [
    "Anthropic's own names, whose prompt leaves out what was cached",
    {
      input_tokens: 10,
      output_tokens: 20,
      cache_read_input_tokens: 60,
      cache_creation_input_tokens: 30,
    },
    counted({ cached_tokens: 60, cache_write_tokens: 30 }),
  ],
  [
    "a proxy whose prompt leaves out what was cached, as its total shows",
    {
      prompt_tokens: 40,
      completion_tokens: 20,
      total_tokens: 120,
      cache_read_input_tokens: 60,
    },
    counted({ cached_tokens: 60 }),
  ],
  [
    "a proxy whose longer prompt leaves out what was cached, as its total shows",
    {
      prompt_tokens: 70,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 20, cache_write_tokens: 10 },
    },
    counted({ cached_tokens: 20, cache_write_tokens: 10 }),
  ],
  [
    "an endpoint whose total is beyond its parts by another number than what was cached",
    {
      prompt_tokens: 100,
      completion_tokens: 5,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 14 },
    },
    counted({ cached_tokens: 14, reasoning_tokens: 15 }),
  ],
  [
    "an endpoint whose whole prompt was cached",
    { prompt_tokens: 100, completion_tokens: 20, prompt_tokens_details: { cached_tokens: 100 } },
    counted({ cached_tokens: 100 }),
  ],
  [
    "an endpoint whose total is less than its parts",
    { prompt_tokens: 100, completion_tokens: 20, total_tokens: 60, cached_tokens: 60 },
    counted({ cached_tokens: 60 }),
  ],
  [
    "an endpoint that states exactly as much reasoning as answer",
    { prompt_tokens: 100, completion_tokens: 20, reasoning_tokens: 20 },
    counted({ reasoning_tokens: 20 }),
  ],
  [
    "Anthropic, whose prompt was only read from the cache",
    { input_tokens: 60, output_tokens: 20, cache_read_input_tokens: 40 },
    counted({ cached_tokens: 40 }),
  ],
  [
    "Anthropic, whose prompt was only written to the cache",
    { input_tokens: 60, output_tokens: 20, cache_creation_input_tokens: 40 },
    counted({ cache_write_tokens: 40 }),
  ],
  [
    "a proxy whose prompt is shorter than what was cached",
    { prompt_tokens: 1, completion_tokens: 20, cache_read_input_tokens: 99 },
    counted({ cached_tokens: 99 }),
  ],
  [
    "the Responses API, whose input includes what was cached",
    {
      input_tokens: 100,
      output_tokens: 20,
      input_tokens_details: { cached_tokens: 50 },
      output_tokens_details: { reasoning_tokens: 4 },
    },
    counted({ cached_tokens: 50, reasoning_tokens: 4 }),
  ],
  [
    "OpenRouter, with its cost",
    {
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      cost: 0.95,
      is_byok: false,
      cost_details: { upstream_inference_cost: 19 },
      prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 100 },
    },
    counted({ cache_write_tokens: 100, stated_cost: 0.95 }),
  ],
  [
    "OpenRouter with the user's own key, where the provider is paid besides",
    {
      prompt_tokens: 100,
      completion_tokens: 20,
      cost: 0.95,
      is_byok: true,
      cost_details: { upstream_inference_cost: 19 },
    },
    counted({ stated_cost: 19.95 }),
  ],
  [
    "Gemini, which leaves its thoughts out of the answer's tokens",
    { prompt_tokens: 100, completion_tokens: 5, total_tokens: 120 },
    counted({ reasoning_tokens: 15 }),
  ],
  [
    "xAI, which states reasoning besides, and its cost in ticks",
    {
      prompt_tokens: 100,
      completion_tokens: 5,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 15 },
      completion_tokens_details: { reasoning_tokens: 15 },
      cost_in_usd_ticks: 318_319_000,
    },
    counted({ cached_tokens: 15, reasoning_tokens: 15, stated_cost: 0.0318319 }),
  ],
  [
    "an endpoint that states more reasoning than answer and no total",
    {
      prompt_tokens: 100,
      completion_tokens: 5,
      completion_tokens_details: { reasoning_tokens: 15 },
    },
    counted({ reasoning_tokens: 15 }),
  ],
  [
    "SGLang, which states reasoning at the top",
    { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120, reasoning_tokens: 20 },
    counted({ reasoning_tokens: 20 }),
  ],
  [
    "Moonshot, which states cached tokens at the top",
    { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120, cached_tokens: 10 },
    counted({ cached_tokens: 10 }),
  ],
  [
    "Qwen, which names what it wrote among the details",
    {
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 0, cache_creation_input_tokens: 80 },
    },
    counted({ cache_write_tokens: 80 }),
  ],
  [
    "Perplexity, whose cost is a table",
    { prompt_tokens: 100, completion_tokens: 20, cost: { request_cost: 0.005, total_cost: 0.006 } },
    counted({ stated_cost: 0.006 }),
  ],
  [
    "DeepInfra",
    { prompt_tokens: 100, completion_tokens: 20, estimated_cost: 0.00012 },
    counted({ stated_cost: 0.00012 }),
  ],
  [
    "a free model, whose cost of 0 is stated",
    { prompt_tokens: 100, completion_tokens: 20, cost: 0 },
    counted({ stated_cost: 0 }),
  ],
  [
    "an endpoint that claims more parts than it has tokens",
    {
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 90, cache_write_tokens: 100 },
    },
    { ...counted({ cached_tokens: 90, cache_write_tokens: 100 }), prompt_tokens: 290 },
  ],
];
describe("the usage is read from", () => {
  for (const [provider, usage, expected] of shapes)
    test(provider, () => {
      expect(read(usage)).toEqual(expected);
    });
});

test("a usage is found under the names and in the places of the providers", () => {
  const gemini = {
    promptTokenCount: 100,
    candidatesTokenCount: 5,
    thoughtsTokenCount: 15,
    cachedContentTokenCount: 90,
    totalTokenCount: 120,
  };
  const expected = counted({ cached_tokens: 90, reasoning_tokens: 15 });
  expect(usageOf({ usageMetadata: gemini }, {})).toEqual(expected);
  expect(usageOf({ usage: null, usage_metadata: gemini }, {})).toEqual(expected);
  const plain = { prompt_tokens: 100, completion_tokens: 20 };
  expect(usageOf({ x_groq: { id: "r", usage: plain } }, {})).toEqual(counted({}));
  expect(usageOf({}, { usage: plain })).toEqual(counted({}));
  expect(usageOf({}, {})).toEqual({ requests: 1, prompt_tokens: 0, completion_tokens: 0 });
});

test("values that are no plausible counts or costs count as none", () => {
  const nothing = { requests: 1, prompt_tokens: 0, completion_tokens: 0 };
  for (const value of [-1, 0.5, "7", null, 1e9 + 1, Number.MAX_VALUE])
    expect(
      read({
        prompt_tokens: value,
        completion_tokens: value,
        total_tokens: value,
        prompt_tokens_details: { cached_tokens: value },
        completion_tokens_details: value,
      }),
    ).toEqual(nothing);
  for (const cost of [-0.1, "0.1", null, 1e5 + 1, { total_cost: -1 }, [0.1]])
    expect(read({ cost })).toEqual(nothing);
  expect(read({ prompt_tokens: 1e9, cost: 1e5 })).toEqual({
    ...nothing,
    prompt_tokens: 1e9,
    stated_cost: 1e5,
  });
});

test("a cost in the header of a litellm proxy counts where the answer states none", () => {
  const usage = counted({});
  const cost = (text: string, before: Usage = usage) =>
    withHeaderCost(before, { "x-litellm-response-cost": text }).stated_cost;
  expect(cost("3.45e-05")).toBe(0.0000345);
  expect(cost("None")).toBeUndefined();
  expect(cost("0.0")).toBeUndefined();
  expect(cost("-1")).toBeUndefined();
  expect(cost("3", counted({ stated_cost: 0 }))).toBe(0);
  expect(withHeaderCost(usage, {})).toBe(usage);
  expect(withHeaderCost(usage, { "x-litellm-response-cost": ["1", "2"] })).toBe(usage);
});

test.each([-1, 1.5, "7", null, 1e15])("%p is no count of tokens, and counts as none", (value) => {
  const usage = { prompt_tokens: value, completion_tokens: 20 };
  expect(read(usage)).toMatchObject({ prompt_tokens: 0, completion_tokens: 20 });
});
