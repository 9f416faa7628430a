// Endpoints that say what no endpoint should: none of it reaches another request, hangs a task or is taken for an answer.

import { describe, expect, test } from "bun:test";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { OpenaiModelConfig } from "../../src/recipe/model-schema.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { answer, askEndpoint, type Behaviour, completion, stream } from "./endpoint.ts";

const ask = (behaviour: Behaviour, more: Partial<OpenaiModelConfig> = {}) =>
  askEndpoint(behaviour, { retries: 0, ...more });

const streamed: Partial<OpenaiModelConfig> = { first_token_timeout: 5000 };
const choice = (delta: unknown, more: JsonObject = {}): unknown => ({
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
});
const end = choice({}, { finish_reason: "stop" });
const said = (message: JsonObject) =>
  answer(completion({}, { message: { role: "assistant", content: null, ...message } }));

describe("an endpoint that", () => {
  test("names a field __proto__ changes no other answer", async () => {
    const chunk = JSON.parse(
      '{"choices":[{"index":0,"delta":{"content":"hi","__proto__":{"refusal":"no"}},"finish_reason":null}]}',
    );
    const { given } = await ask(stream([chunk, end]), streamed);
    expect(given.message.content).toBe("hi");
    expect(({} as Record<string, unknown>)["refusal"]).toBeUndefined();
  });

  test.each([
    ["retry-after-ms", "-999999999"],
    ["retry-after", "0"],
    ["retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"],
  ])(
    "is full and says %s: %s is asked again after a while, and not past the deadline",
    async (name, value) => {
      const { given, asked } = await ask(answer("full", 429, { [name]: value }), {
        deadline: 1500,
      });
      expect(given.code).toBe("model_overloaded");
      expect(asked.length).toBeLessThan(12);
    },
  );

  test("changes the protocol is no answer, and hangs nothing", async () => {
    const { given } = await ask(({ response }) => {
      response.socket?.end(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      );
    });
    expect(given.code).toMatch(/^model_/);
  });

  test.each([
    ["-1000000", "-5"],
    ['"abc"', "{}"],
    ["1e999", "1e15"],
    ["1.5", "null"],
  ])("counts %s and %s tokens has counted none", async (prompt, completed) => {
    const body = `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":${prompt},"completion_tokens":${completed}}}`;
    expect((await ask(answer(body))).given.usage).toEqual({
      requests: 1,
      prompt_tokens: 0,
      completion_tokens: 0,
    });
  });

  test.each([4_294_967_294, 100_000_000, -1, 0.5])(
    "numbers a tool call %d has given no answer",
    async (index) => {
      const call = { index, id: "a", function: { name: "f", arguments: "{}" } };
      expect((await ask(stream([choice({ tool_calls: [call] }), end]), streamed)).given.code).toBe(
        "model_bad_answer",
      );
    },
  );

  test.each([
    [[null]],
    [[{ id: "a", function: { name: "f", arguments: { x: 1 } } }]],
    [[{ id: "a", function: { arguments: "{}" } }]],
  ])("calls tools as %j has given no answer", async (calls) =>
    expect((await ask(said({ tool_calls: calls as never }))).given.code).toBe("model_bad_answer"),
  );

  test("gives a call no id has it named by its place", async () => {
    const { given } = await ask(
      said({ tool_calls: [{ function: { name: "f", arguments: "{}" } }] as never }),
    );
    expect(given.message["tool_calls"]).toEqual([
      { id: "call_0", type: "function", function: { name: "f", arguments: "{}" } },
    ]);
  });

  test("streams several choices has given the first", async () => {
    const other = { choices: [{ index: 1, delta: { content: "B" }, finish_reason: "stop" }] };
    const { given } = await ask(
      stream([choice({ content: "A" }), other, choice({ content: "C" }), end]),
      streamed,
    );
    expect(given.message.content).toBe("AC");
  });

  test("finishes twice has finished the first time", async () => {
    const cut = choice({ content: "A" }, { finish_reason: "length" });
    expect((await ask(stream([cut, end]), streamed)).given.finishReason).toBe("length");
  });

  test("does not stream answers all the same", async () => {
    expect((await ask(answer(), streamed)).given.message.content).toBe("yes");
  });

  test("says its text in parts is understood", async () => {
    expect(
      (
        await ask(
          said({
            content: [
              { type: "text", text: "a" },
              { type: "text", text: "b" },
            ] as never,
          }),
        )
      ).given.message.content,
    ).toBe("ab");
  });

  test("answers without end is cut off", async () => {
    const megabyte = Buffer.alloc(2 ** 20, "x");
    const { given } = await ask(async ({ response }) => {
      response.writeHead(200, { "content-type": "application/json" });
      await pipeline(Readable.from(Array(400).fill(megabyte)), response).catch(() => undefined);
    });
    expect(given).toMatchObject({
      code: "model_bad_answer",
      message: "the answer is larger than 256 MiB",
    });
  });
});
