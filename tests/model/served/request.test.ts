// Bodies of requests to the simulated endpoint: what is taken from them, and what is said of those
// that are wrong.

import { expect, test } from "bun:test";
import { parseChatRequest, parseTextRequest } from "../../../src/model/served/request.ts";
import { deriveSeed } from "../../../src/task/seed.ts";

const chat = (body: unknown) => parseChatRequest(JSON.stringify(body), "served");
const text = (body: unknown) => parseTextRequest(JSON.stringify(body), "served");
const messages = [{ role: "user", content: "hi" }];
const plain = { stream: false, streamUsage: false, alternatives: null, echo: false } as const;
const asked = { messages: messages as never, seed: 0, sampling: {}, origin: null };

test("a request without anything but messages gets seed 0, the served name and no stream", () => {
  expect(chat({ messages })).toEqual({ kind: "chat", model: "served", asked: [asked], ...plain });
});

test("every field of a full request has its place, and unknown ones are sampling", () => {
  const tools = [{ type: "function", function: { name: "f" } }];
  const body = {
    model: "m",
    messages,
    seed: 7,
    tools,
    tool_choice: "required",
    response_format: { type: "json_schema", json_schema: { schema: { type: "object" } } },
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0.5,
    max_tokens: 3,
    logprobs: true,
    top_logprobs: 2,
    min_p: 0.1,
  };
  expect(chat(body)).toEqual({
    kind: "chat",
    asked: [
      {
        messages: messages as never,
        seed: 7,
        sampling: {
          temperature: 0.5,
          max_tokens: 3,
          tool_choice: "required",
          logprobs: true,
          top_logprobs: 2,
          min_p: 0.1,
        },
        origin: null,
        tools,
        schema: { type: "object" },
      },
    ],
    model: "m",
    stream: true,
    streamUsage: true,
    alternatives: 2,
    echo: false,
  });
});

test("each choice of a request has a seed of its own, and the first has that of the request", () => {
  const parsed = chat({ messages, n: 3, seed: 5 });
  expect("asked" in parsed ? parsed.asked.map(({ seed }) => seed) : []).toEqual([
    5,
    deriveSeed(5, "choice", 1),
    deriveSeed(5, "choice", 2),
  ]);
});

test("log probabilities without alternatives are none beside the token", () => {
  expect(chat({ messages, logprobs: true })).toMatchObject({ alternatives: 0 });
  expect(chat({ messages, logprobs: false })).toMatchObject({ alternatives: null });
});

test("a JSON object that is asked for stays in the sampling, and a text format does not", () => {
  const format = { type: "json_object" };
  expect(chat({ messages, response_format: format })).toMatchObject({
    asked: [{ sampling: { response_format: format } }],
  });
  expect(chat({ messages, response_format: { type: "text" } })).toMatchObject({ asked: [asked] });
});

test("fields that are null count as missing", () => {
  const nulls = { n: null, stream: null, tools: null, seed: null, stop: null, logprobs: null };
  expect(chat({ messages, ...nulls })).toEqual(chat({ messages }));
});

test("a body may have 256 levels, also in fields that are not looked at", () => {
  const messages = [{ role: "user", content: "hi" }];
  const body = (levels: number) =>
    `{"messages":${JSON.stringify(messages)},"x":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;
  expect(parseChatRequest(body(256), "m")).not.toHaveProperty("wrong");
  for (const levels of [257, 100_000])
    expect(parseChatRequest(body(levels), "m")).toEqual({
      wrong: { message: "the body is nested more than 256 levels deep", param: null },
    });
});

test("a body that is not JSON, not an object or without messages is named as such", () => {
  const wrong = (message: string, param: string | null = null) => ({ wrong: { message, param } });
  expect(parseChatRequest("{", "m")).toEqual(wrong("the body is not JSON"));
  for (const body of [null, 1, "x", []])
    expect(chat(body)).toEqual(wrong("the body must be an object"));
  for (const none of [undefined, [], "hi", {}])
    expect(chat({ messages: none })).toEqual(
      wrong("messages must be a list with at least one message", "messages"),
    );
});

const wrongFields: readonly (readonly [fields: object, message: string])[] = [
  [{ model: 5 }, "model must be a text"],
  [{ n: 0 }, "n must be a whole number from 1 to 128"],
  [{ n: 129 }, "n must be a whole number from 1 to 128"],
  [{ n: 1.5 }, "n must be a whole number from 1 to 128"],
  [{ stream: "true" }, "stream must be true or false"],
  [{ stream_options: { include_usage: true } }, "stream_options needs stream = true"],
  [{ stream: true, stream_options: [] }, "stream_options must be an object"],
  [{ seed: "7" }, "seed must be a whole number"],
  [{ temperature: 2.1 }, "temperature must be a number from 0 to 2"],
  [{ temperature: "1" }, "temperature must be a number from 0 to 2"],
  [{ top_p: -0.1 }, "top_p must be a number from 0 to 1"],
  [{ max_tokens: 0 }, "max_tokens must be a whole number from 1"],
  [{ max_completion_tokens: "5" }, "max_completion_tokens must be a whole number from 1"],
  [{ presence_penalty: 3 }, "presence_penalty must be a number from -2 to 2"],
  [{ stop: 5 }, "stop must be a text, or a list of texts"],
  [{ stop: ["x", 5] }, "stop must be a text, or a list of texts"],
  [{ logit_bias: [] }, "logit_bias must be an object"],
  [{ logprobs: 5 }, "logprobs must be true or false"],
  [{ logprobs: true, top_logprobs: 21 }, "top_logprobs must be a whole number from 0 to 20"],
  [{ top_logprobs: 1 }, "top_logprobs needs logprobs = true"],
  [{ tools: "f" }, "tools must be a list of functions, at least one"],
  [{ tools: [] }, "tools must be a list of functions, at least one"],
  [{ tools: [{ type: "function" }] }, "tools must be a list of functions, at least one"],
  [
    { tool_choice: "always" },
    'tool_choice must be one of none, auto, required, or {"type": "function", "function": {"name": …}}',
  ],
  [{ tool_choice: "required" }, "tool_choice needs tools"],
  [
    {
      tools: [{ type: "function", function: { name: "f" } }],
      tool_choice: { type: "function", function: { name: "g" } },
    },
    "tool_choice names g, which is not one of the tools",
  ],
  [{ response_format: "json" }, expect.stringMatching(/^response_format must be /)],
  [{ response_format: { type: "xml" } }, expect.stringMatching(/^response_format must be /)],
  [
    { response_format: { type: "json_schema" } },
    expect.stringMatching(/^response_format must be /),
  ],
];
for (const [fields, message] of wrongFields) {
  test(`a chat request with ${JSON.stringify(fields)} is refused`, () => {
    const param = Object.keys(fields).at(-1) ?? "";
    expect(chat({ messages, ...fields })).toEqual({ wrong: { message, param } });
  });
}

const wrongMessages: readonly (readonly [message: unknown, param: string, what: string])[] = [
  ["hi", "messages[1]", "messages[1] must be an object"],
  [
    { role: "bot", content: "x" },
    "messages[1].role",
    "messages[1].role must be one of system, developer, user, assistant, tool, function",
  ],
  [
    { role: "user" },
    "messages[1].content",
    "messages[1].content must be a text or a list of parts with a type",
  ],
  [
    { role: "user", content: [{ text: "x" }] },
    "messages[1].content",
    "messages[1].content must be a text or a list of parts with a type",
  ],
  [
    { role: "tool", content: "x" },
    "messages[1].tool_call_id",
    "messages[1].tool_call_id must be the id of the call that was answered",
  ],
];
for (const [message, param, what] of wrongMessages) {
  test(`the message ${JSON.stringify(message)} is refused with its place`, () => {
    expect(chat({ messages: [...messages, message] })).toEqual({ wrong: { message: what, param } });
  });
}

test("numbers at their bounds are taken", () => {
  for (const fields of [
    { n: 1 },
    { n: 128 },
    { temperature: 0 },
    { temperature: 2 },
    { top_p: 0 },
    { top_p: 1 },
    { presence_penalty: -2 },
    { presence_penalty: 2 },
    { frequency_penalty: -2 },
    { frequency_penalty: 2 },
    { max_tokens: 1 },
    { logprobs: true, top_logprobs: 20 },
  ])
    expect(chat({ messages, ...fields })).not.toHaveProperty("wrong");
  for (const fields of [{ frequency_penalty: 2.1 }, { frequency_penalty: -2.1 }, { top_p: 1.1 }])
    expect(chat({ messages, ...fields })).toHaveProperty("wrong");
});

test("messages of every role are taken, with text, parts or calls", () => {
  for (const message of [
    { role: "system", content: "x" },
    { role: "developer", content: "x" },
    { role: "user", content: [{ type: "text", text: "x" }] },
    { role: "assistant", content: null, tool_calls: [] },
    { role: "assistant" },
    { role: "tool", content: "x", tool_call_id: "a" },
  ])
    expect(chat({ messages: [message] })).not.toHaveProperty("wrong");
});

test("a text request has a choice for each prompt, and 16 tokens unless it says otherwise", () => {
  const of = (prompt: string, sampling = {}) => ({
    messages: [{ role: "user", content: prompt }] as never,
    seed: 0,
    sampling: { max_tokens: 16, ...sampling },
    origin: null,
  });
  expect(text({ prompt: "a" })).toEqual({
    kind: "text",
    model: "served",
    asked: [of("a")],
    ...plain,
  });
  expect(text({ prompt: ["a", "b"], max_tokens: 3, echo: true, logprobs: 2 })).toEqual({
    kind: "text",
    model: "served",
    asked: ["a", "b"].map((prompt) => of(prompt, { max_tokens: 3, logprobs: 2 })),
    ...plain,
    alternatives: 2,
    echo: true,
  });
  expect(text({ prompt: [1, 2] })).toMatchObject({ asked: [of("1 2")] });
  expect(text({ prompt: [[1, 2], [3]], n: 2 })).toMatchObject({
    asked: [of("1 2"), { seed: deriveSeed(0, "choice", 1) }, of("3"), {}],
  });
});

test("a text request without a prompt, or with a wrong field, is refused", () => {
  for (const prompt of [undefined, 5, [], [5, "x"], [[]], [[1, "x"]], {}])
    expect(text({ prompt })).toEqual({
      wrong: {
        message: "prompt must be a text, a list of texts, or tokens, and not empty",
        param: "prompt",
      },
    });
  expect(text({ prompt: "a", logprobs: true })).toEqual({
    wrong: { message: "logprobs must be a whole number from 0 to 20", param: "logprobs" },
  });
});
