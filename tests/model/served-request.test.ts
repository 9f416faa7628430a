// Bodies of requests to the simulated endpoint: what is taken from them, and what is said of those
// that are wrong.

import { expect, test } from "bun:test";
import { parseServedRequest } from "../../src/model/served-request.ts";

const parse = (body: unknown) => parseServedRequest(JSON.stringify(body), "served");
const messages = [{ role: "user", content: "hi" }];

test("a request without anything but messages gets seed 0, the served name and no stream", () => {
  expect(parse({ messages })).toEqual({
    request: { messages: messages as never, seed: 0, sampling: {}, origin: null },
    model: "served",
    stream: false,
    streamUsage: false,
  });
});

test("every field of a full request has its place, and unknown ones are sampling", () => {
  const tools = [{ type: "function", function: { name: "f" } }];
  const body = {
    model: "m",
    messages,
    seed: 7,
    tools,
    response_format: { type: "json_schema", json_schema: { schema: { type: "object" } } },
    stream: true,
    stream_options: { include_usage: true },
    temperature: 0.5,
    max_tokens: 3,
  };
  expect(parse(body)).toEqual({
    request: {
      messages: messages as never,
      seed: 7,
      sampling: { temperature: 0.5, max_tokens: 3 },
      origin: null,
      tools,
      schema: { type: "object" },
    },
    model: "m",
    stream: true,
    streamUsage: true,
  });
});

test("fields of a wrong type count as missing", () => {
  const body = {
    model: 5,
    messages,
    seed: "7",
    tools: "f",
    response_format: { type: "json_object" },
    stream: "true",
    stream_options: { include_usage: "yes" },
  };
  expect(parse(body)).toEqual({
    request: { messages: messages as never, seed: 0, sampling: {}, origin: null },
    model: "served",
    stream: false,
    streamUsage: false,
  });
  expect(parse({ messages, stream_options: [] })).toMatchObject({ streamUsage: false });
  expect(parse({ messages, response_format: { json_schema: { schema: 1 } } })).not.toMatchObject({
    request: { schema: 1 },
  });
});

test("a body that is not JSON, not an object or without messages is named as such", () => {
  expect(parseServedRequest("{", "m")).toBe("the body is not JSON");
  for (const body of [null, 1, "x", []]) expect(parse(body)).toBe("the body must be an object");
  for (const wrong of [undefined, [], "hi", {}])
    expect(parse({ messages: wrong })).toBe("messages must be a list with at least one message");
});
