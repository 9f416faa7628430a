// Estimates of tokens: what a request counts before anything was answered, and what answers teach.

import { expect, test } from "bun:test";
import type { ChatRequest } from "../../src/model/contract.ts";
import { TokenEstimate } from "../../src/model/estimate.ts";

const request = (more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content: "12345678" }],
  seed: 1,
  sampling: {},
  origin: null,
  ...more,
});
const used = (completion_tokens: number) => ({
  requests: 1,
  prompt_tokens: 0,
  completion_tokens,
});
const first = (more: Partial<ChatRequest>) => new TokenEstimate().of(request(more))();

test("a first request counts a token for four characters, and 256 for its answer", () => {
  expect(first({})).toBe(2 + 256);
  expect(first({ messages: [{ role: "user", content: "12345" }] })).toBe(2 + 256);
});

test("a first request with a limit counts the limit for its answer", () => {
  expect(first({ sampling: { max_tokens: 10 } })).toBe(2 + 10);
  expect(first({ sampling: { max_completion_tokens: 1000 } })).toBe(2 + 1000);
});

test("all messages count, and a message without content counts nothing", () => {
  const messages: ChatRequest["messages"] = [
    { role: "system", content: "1234" },
    { role: "assistant", content: null },
    { role: "user", content: "1234" },
  ];
  expect(first({ messages, sampling: { max_tokens: 0 } })).toBe(2);
});

test("the descriptions of tools count as their JSON", () => {
  const tools = [{ type: "function" }];
  const tokens = Math.ceil(JSON.stringify(tools).length / 4);
  expect(first({ tools, sampling: { max_tokens: 0 } })).toBe(2 + tokens);
});

test("an image counts 1000 tokens, and the text beside it as text", () => {
  const content = [
    { type: "text" as const, text: "1234" },
    { type: "image_url" as const, image_url: { url: "data:…" } },
  ];
  expect(first({ messages: [{ role: "user", content }], sampling: { max_tokens: 0 } })).toBe(1001);
});

test("the first answer replaces the assumption, and each later answer weighs a sixteenth", () => {
  const estimate = new TokenEstimate();
  const ask = estimate.of(request());
  estimate.learn(used(100));
  expect(ask()).toBe(2 + 100);
  estimate.learn(used(260));
  expect(ask()).toBe(2 + 110);
  estimate.learn(used(110));
  expect(ask()).toBe(2 + 110);
});

test("no answer is estimated longer than the request allows", () => {
  const estimate = new TokenEstimate();
  estimate.learn(used(100));
  expect(estimate.of(request({ sampling: { max_tokens: 30 } }))()).toBe(2 + 30);
  expect(estimate.of(request({ sampling: { max_tokens: 300 } }))()).toBe(2 + 100);
});
