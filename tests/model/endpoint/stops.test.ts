// The words in which each kind of server says that an answer is not whole.

import { expect, test } from "bun:test";
import {
  unansweredError,
  unansweredOf,
  unansweredResult,
} from "../../../src/model/endpoint/stops.ts";
import type { Unanswered } from "../../../src/task/task.ts";

const answered = (finishReason: string, more: object = {}) =>
  unansweredOf({ finishReason, message: { role: "assistant", content: "x", ...more } });

test("each finish reason of an answer that is not whole has its stop reason", () => {
  const reasons = {
    stop: null,
    tool_calls: null,
    length: "cut",
    content_filter: "content_filtered",
    refusal: "refused",
    context_length: "context_length",
    MAX_TOKENS: "cut",
    SAFETY: "content_filtered",
    end_turn: null,
    // Not whole for all that is known, and errors that a user's program has kept.
    whatever: "cut",
    abort: "cut",
    insufficient_system_resource: "cut",
  };
  for (const [finishReason, reason] of Object.entries(reasons))
    expect(answered(finishReason)).toBe(reason as Unanswered | null);
});

test("a refusal in words counts before the finish reason, and an empty one does not count", () => {
  expect(answered("length", { refusal: "no" })).toBe("refused");
  expect(answered("stop", { refusal: "" })).toBeNull();
  expect(answered("stop", { refusal: true })).toBeNull();
});

test("a result of a role is read in the same way, and one that is not an object is whole", () => {
  expect(unansweredResult({ content: "x", finish_reason: "length" })).toBe("cut");
  expect(unansweredResult({ content: "x" })).toBeNull();
  expect(unansweredResult({ refusal: "no" })).toBe("refused");
  for (const finish_reason of [null, "", "null", 5])
    expect(unansweredResult({ content: "x", finish_reason })).toBeNull();
  for (const result of [null, 5, "length", ["length"]]) expect(unansweredResult(result)).toBeNull();
});

test("codes and types of errors are recognized, the first that is known", () => {
  for (const [code, reason] of [
    ["context_length_exceeded", "context_length"],
    ["exceed_context_size_error", "context_length"],
    ["model_context_window_exceeded", "context_length"],
    ["content_filter", "content_filtered"],
    ["content_policy_violation", "content_filtered"],
    ["ContextWindowExceededError", "context_length"],
    ["ContentPolicyViolationError", "content_filtered"],
    ["rate_limit_exceeded", null],
  ] as const)
    expect(unansweredError(["invalid_request_error", code], "why")).toBe(reason);
});

const tooLong = [
  "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens.",
  "This model's maximum context length is 32768 tokens. However, you requested 41648 tokens.",
  "Requested token count exceeds the model's maximum context length of 4096 tokens.",
  "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
  "The input (150000 tokens) is longer than the model's context length (128000 tokens).",
  "max_tokens must be at least 1, got -12.",
  "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it",
  "the request exceed the available context size",
  "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096.",
  "prompt is too long: 210000 tokens > 200000 maximum",
  "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
  "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
  "litellm.BadRequestError: litellm.ContextWindowExceededError: OpenAIException - too long",
  "Your input exceeds the context window of this model. Please adjust your input and try again.",
  "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000",
  "invalid params, context window exceeds limit (2013)",
  "The number of tokens to keep from the initial prompt is greater than the context length.",
  "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.",
  "Reached context length of 4096 tokens with model (arch: qwen3) that does not currently support mid-generation context overflow.",
  "Context size has been exceeded.",
  "Context length exceeded",
  "prompt too long; exceeded max context length by 100918 tokens",
  "the input length exceeds the context length",
  "Input is too long for requested model.",
  "Too many input tokens. Max input tokens: 8192, request input token count: 9000",
  "prompt tokens (140000) exceed model maximum (131072)",
  "Malformed input request: expected maxLength: 40960, actual: 50000, please reformat your input",
  "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
  "`inputs` must have less than 1024 tokens. Given: 4000",
  "Input length (265330 tokens) exceeds the maximum allowed length (262144 tokens).",
  "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
  "Prompt has too many tokens",
  "This model's maximum context length is 8192 tokens. A rate limit of 5 per minute is left.",
  "Please reduce the length of the messages or completion.",
  "Current length is 9000 while limit is 8192",
  "Range of input length should be [1, 129024]",
  "Prompt exceeds max length",
  "Your request exceeded model token limit: 131072 (requested: 200000)",
  "prompt token count of 140000 exceeds the limit of 128000",
];
for (const message of tooLong) {
  test(`"${message.slice(0, 60)}…" says that the request is too long`, () => {
    expect(unansweredError([], message)).toBe("context_length");
    expect(unansweredError([], message.toUpperCase())).toBe("context_length");
  });
}

test("messages that speak of tokens, length or prompts otherwise are errors", () => {
  for (const message of [
    "max_tokens must be at least 1, got 0.",
    "the prompt is too long",
    "invalid context length",
    "rate limit of 1000 tokens per minute exceeded",
    "ThrottlingException: Too many tokens, please wait before trying again.",
    "Too many tokens: limit 6000 per minute, requested 7000",
    "too many tokens: please wait before trying again",
    "Too many input tokens: the limit is 6000 per minute",
    "`max_new_tokens` must be strictly positive",
  ])
    expect(unansweredError([], message)).toBeNull();
});
