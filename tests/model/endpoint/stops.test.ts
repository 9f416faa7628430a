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
    whatever: null,
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
  for (const result of [null, 5, "length", ["length"]]) expect(unansweredResult(result)).toBeNull();
});

test("codes and types of errors are recognized, the first that is known", () => {
  for (const [code, reason] of [
    ["context_length_exceeded", "context_length"],
    ["exceed_context_size_error", "context_length"],
    ["model_context_window_exceeded", "context_length"],
    ["content_filter", "content_filtered"],
    ["content_policy_violation", "content_filtered"],
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
  ])
    expect(unansweredError([], message)).toBeNull();
});
