// The simulated model: what a request decides, what the configuration decides, and what an answer
// looks like.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import type { ChatRequest } from "../../src/model/contract.ts";
import {
  countTokens,
  estimateUsage,
  limitOf,
  type Replies,
  simulate,
} from "../../src/model/simulated.ts";
import { loadModel } from "../../src/recipe/load.ts";
import type { SimulatedModelConfig } from "../../src/recipe/schema/model-schema.ts";

const configOf = (...settings: string[]): Promise<SimulatedModelConfig> =>
  loadModel("m", {
    env: {},
    cwd: "/",
    overrides: settings.map((setting) => `models.m.${setting}`),
  });
const config = await configOf("latency=0ms");

const request = (content = "hello", more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content }],
  seed: 1,
  sampling: {},
  origin: null,
  ...more,
});
const saying =
  (text: string): Replies =>
  () =>
    text;

test("the same request has the same answer, and any other request another", async () => {
  const drawn = await configOf("latency={ kind='lognormal', median='1s', sigma=1.0 }");
  const answer = (given: ChatRequest) => simulate(drawn, null, given, 0);
  expect(answer(request())).toEqual(answer(request()));
  for (const other of [
    request("hallo"),
    request("hello", { seed: 2 }),
    request("hello", { sampling: { temperature: 1 } }),
  ]) {
    expect(answer(other).message).not.toEqual(answer(request()).message);
    expect(answer(other).durationMs).not.toBe(answer(request()).durationMs);
  }
});

test("who asks does not change the answer", () => {
  const origin = { row: "a", trial: 0, attempt: 2, role: "r", turn: 1 };
  expect(simulate(config, null, request("x", { origin }), 0)).toEqual(
    simulate(config, null, request("x"), 0),
  );
});

test("the number of the try decides the simulated failure and nothing else", async () => {
  const failing = await configOf("latency=0ms", "errors.server_error=0.5");
  const tries = Array.from({ length: 40 }, (_, number) =>
    simulate(failing, null, request(), number),
  );
  expect(new Set(tries.map(({ failure }) => failure))).toEqual(new Set(["server_error", null]));
  expect(new Set(tries.map(({ message }) => message.content)).size).toBe(1);
});

test("each failure comes at the rate that the recipe sets", async () => {
  const rates = {
    rate_limited: 0.1,
    server_error: 0.05,
    timeout: 0.1,
    malformed: 0.05,
    lost: 0.1,
    stalled: 0.05,
    context_length: 0.1,
    refused: 0.1,
    content_filtered: 0.1,
  };
  const failing = await configOf(
    "latency=0ms",
    ...Object.entries(rates).map(([name, rate]) => `errors.${name}=${rate}`),
  );
  const counts = new Map<string, number>();
  for (let row = 0; row < 10_000; row++) {
    const { failure, finishReason, message } = simulate(failing, null, request(`${row}`), 0);
    const name =
      failure ??
      (finishReason === "content_filter"
        ? "content_filtered"
        : typeof message["refusal"] === "string"
          ? "refused"
          : "answered");
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  for (const [name, rate] of Object.entries({ ...rates, answered: 0.25 }))
    expect(`${name} ${Math.abs((counts.get(name) ?? 0) / 10_000 - rate) < 0.015}`).toBe(
      `${name} true`,
    );
});

test("a refused request has a refusal in place of its text, and no failure", async () => {
  const refusing = await configOf("latency=0ms", "errors.refused=1");
  const { message, finishReason, failure } = simulate(refusing, saying("yes"), request(), 0);
  expect({ message, finishReason, failure }).toEqual({
    message: {
      role: "assistant",
      content: null,
      refusal: "I cannot help with that (simulated).",
    },
    finishReason: "stop",
    failure: null,
  });
});

test("a filtered answer keeps its text and says that it was filtered", async () => {
  const filtering = await configOf("latency=0ms", "errors.content_filtered=1");
  const { message, finishReason, failure } = simulate(filtering, saying("yes"), request(), 0);
  expect({ content: message.content, finishReason, failure }).toEqual({
    content: "yes",
    finishReason: "content_filter",
    failure: null,
  });
});

test("a reply is text or a whole message, and calls of tools end the answer as such", () => {
  const calls = [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }];
  const message = { role: "assistant" as const, content: null, tool_calls: calls };
  expect(simulate(config, () => message, request(), 0)).toEqual({
    message,
    finishReason: "tool_calls",
    usage: {
      requests: 1,
      prompt_tokens: 2 + 4,
      completion_tokens: Math.ceil(JSON.stringify(calls).length / 4),
    },
    durationMs: 0,
    failure: null,
  });
  expect(simulate(config, saying("12345678"), request(), 0)).toEqual({
    message: { role: "assistant", content: "12345678" },
    finishReason: "stop",
    usage: { requests: 1, prompt_tokens: 6, completion_tokens: 2 },
    durationMs: 0,
    failure: null,
  });
});

test("replies get the request, a random source and the settings of the model", async () => {
  const settled = await configOf("latency=0ms", "with={ name = 'Ann' }");
  const replies: Replies = ({ messages }, { random, settings }) =>
    `${settings["name"]} ${messages[0]?.content} ${random() < 1}`;
  expect(simulate(settled, replies, request("you"), 0).message.content).toBe("Ann you true");
});

test("replies that throw are a refused request, and a MatrixError of theirs stays as it is", () => {
  const broken = () => {
    throw new Error("no such row");
  };
  expect(() => simulate(config, broken, request(), 0)).toThrow(
    expect.objectContaining({
      code: "model_refused_request",
      message: "the simulated model's replies failed: no such row",
    }),
  );
  const own = new MatrixError("model_failed", "mine");
  const throwing = () => {
    throw own;
  };
  expect(() => simulate(config, throwing, request(), 0)).toThrow(own);
});

test("an answer longer than max_tokens is cut there, and says so", () => {
  const cut = (max_tokens: number) =>
    simulate(config, saying("123456789"), request("x", { sampling: { max_tokens } }), 0);
  expect(cut(2)).toMatchObject({
    message: { content: "12345678" },
    finishReason: "length",
    usage: { completion_tokens: 2 },
  });
  expect(cut(3)).toMatchObject({ message: { content: "123456789" }, finishReason: "stop" });
});

test("an answer has about as many tokens as the recipe says, and at least one", async () => {
  const words = async (tokens: number) =>
    simulate(
      await configOf("latency=0ms", `output_tokens=${tokens}`),
      null,
      request(),
      0,
    ).message.content?.split(" ").length;
  expect(await words(25)).toBe(25);
  expect(await words(0.2)).toBe(1);
});

test("an answer takes its latency, and its tokens at the recipe's speed", async () => {
  const timed = await configOf("latency=100ms", "tokens_per_second=50");
  expect(simulate(timed, saying("12345678"), request(), 0).durationMs).toBe(100 + 40);
  const untimed = await configOf("latency=100ms", "tokens_per_second=1000000");
  expect(simulate(untimed, saying("12345678"), request(), 0).durationMs).toBeCloseTo(100.002, 6);
});

test("a schema is answered with an instance of it, with words for its texts", () => {
  const schema = { properties: { text: { type: "string" }, n: { const: 1 } } };
  const { content } = simulate(config, null, request("x", { schema }), 0).message;
  const { text, n } = JSON.parse(content ?? "");
  expect(n).toBe(1);
  expect(text.split(" ")).toHaveLength(5);
});

test("a token is counted for every four characters that were begun", () => {
  expect(["", "1", "1234", "12345"].map(countTokens)).toEqual([0, 1, 1, 2]);
});

test("the limit of an answer is max_completion_tokens, else max_tokens, else none", () => {
  expect(limitOf({ max_completion_tokens: 5, max_tokens: 9 })).toBe(5);
  expect(limitOf({ max_tokens: 9 })).toBe(9);
  expect(limitOf({ max_tokens: "9" })).toBe(Number.POSITIVE_INFINITY);
  expect(limitOf({})).toBe(Number.POSITIVE_INFINITY);
});

test("usage counts four more tokens for every message, and counts parts as their JSON", () => {
  const parts = [{ type: "text" as const, text: "1234" }];
  const messages: ChatRequest["messages"] = [
    { role: "system", content: "12345" },
    { role: "assistant", content: null },
    { role: "user", content: parts },
  ];
  const json = Math.ceil(JSON.stringify(parts).length / 4);
  expect(estimateUsage(request("", { messages }), { role: "assistant", content: null })).toEqual({
    requests: 1,
    prompt_tokens: 2 + 4 + 4 + json + 4,
    completion_tokens: 0,
  });
});
