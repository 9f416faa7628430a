// Tokens that an endpoint did not count: which of them are estimated, how, and that the user hears
// of it once.

import { expect, test } from "bun:test";
import type { ChatAnswer, ChatRequest } from "../../src/model/contract.ts";
import { completeUsage } from "../../src/model/uncounted.ts";
import type { Usage } from "../../src/task/task.ts";

const request = (more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content: "x".repeat(40) }],
  seed: 1,
  sampling: {},
  origin: null,
  ...more,
});
const answered = (usage: Partial<Usage>, message: object = { content: "y".repeat(9) }) =>
  ({
    message: { role: "assistant", ...message },
    finishReason: "stop",
    usage: { requests: 1, prompt_tokens: 0, completion_tokens: 0, ...usage },
  }) as ChatAnswer;
const silent = () => completeUsage("m", () => undefined);

test("an answer without counted tokens is estimated, a token for four characters", () => {
  expect(silent()(request(), answered({}))).toEqual({
    requests: 1,
    prompt_tokens: 14,
    completion_tokens: 3,
    estimated_requests: 1,
  });
});

test("only the part that is missing is estimated", () => {
  expect(silent()(request(), answered({ prompt_tokens: 7, stated_cost: 1 }))).toEqual({
    requests: 1,
    prompt_tokens: 7,
    completion_tokens: 3,
    stated_cost: 1,
    estimated_requests: 1,
  });
  expect(silent()(request(), answered({ completion_tokens: 7 }))).toMatchObject({
    prompt_tokens: 14,
    completion_tokens: 7,
    estimated_requests: 1,
  });
});

test("reasoning, tool calls and tools are part of the estimate", () => {
  const of = (message: object, more: Partial<ChatRequest> = {}) =>
    silent()(request(more), answered({}, message));
  expect(of({ content: null, reasoning_content: "z".repeat(8) }).completion_tokens).toBe(2);
  expect(of({ content: "yes!", reasoning: "z".repeat(8) }).completion_tokens).toBe(3);
  const calls = [{ id: "a" }];
  expect(of({ content: null, tool_calls: calls }).completion_tokens).toBe(3);
  expect(of({ content: "a" }, { tools: [{ a: 1 }] }).prompt_tokens).toBe(14 + 3);
});

test("counted answers, and answers without a text, stay as they are", () => {
  const counted = answered({ prompt_tokens: 1, completion_tokens: 1 });
  expect(silent()(request(), counted)).toBe(counted.usage);
  const empty = answered({}, { content: null, error: "too long" });
  expect(silent()(request(), empty)).toBe(empty.usage);
});

test("the user is warned once for each model", () => {
  const said: string[] = [];
  const complete = completeUsage("a-b", (level, what) => void said.push(`${level}: ${what}`));
  complete(request(), answered({ prompt_tokens: 1, completion_tokens: 1 }));
  expect(said).toEqual([]);
  complete(request(), answered({}));
  complete(request(), answered({}));
  expect(said).toEqual([
    "warning: models.a-b: the endpoint does not count its tokens. They are estimated, a token for " +
      "every four characters, and so is their cost",
  ]);
});
