// What endpoints answer, whole and streamed: the same message either way, and outcomes that are neither answers nor errors.

import { describe, expect, test } from "bun:test";
import { unansweredOf } from "../../src/model/endpoint/stops.ts";
import { Assembly } from "../../src/model/endpoint/stream.ts";
import type { OpenaiModelConfig } from "../../src/recipe/model-schema.ts";
import type { JsonObject } from "../../src/task/json.ts";
import { answer, askEndpoint as ask, completion, stream } from "./endpoint.ts";

const streamed: Partial<OpenaiModelConfig> = { first_token_timeout: 5000 };
const delta = (piece: JsonObject, more: JsonObject = {}): JsonObject => ({
  choices: [{ index: 0, delta: piece, finish_reason: null, ...more }],
});
const end = (finish_reason: string): JsonObject => ({
  choices: [{ index: 0, delta: {}, finish_reason }],
});
const usage: JsonObject = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } };
const USED = { prompt_tokens: 3, completion_tokens: 4 };
const token = (text: string): JsonObject => ({
  token: text,
  logprob: -0.5,
  bytes: null,
  top_logprobs: [],
});

describe("a streamed answer is what it would be whole", () => {
  const cases: readonly (readonly [
    what: string,
    chunks: readonly JsonObject[],
    choice: JsonObject,
    whole?: JsonObject,
  ])[] = [
    [
      "text and reasoning",
      [
        delta({ role: "assistant", content: "" }),
        delta({ reasoning_content: "h" }),
        delta({ reasoning_content: "m" }),
        delta({ content: "y" }),
        delta({ content: "es" }),
        end("stop"),
        usage,
      ],
      {
        message: { role: "assistant", content: "yes", reasoning_content: "hm" },
        finish_reason: "stop",
      },
    ],
    [
      "calls of tools, arguments to the letter",
      [
        delta({
          role: "assistant",
          content: null,
          tool_calls: [
            { index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } },
          ],
        }),
        delta({ tool_calls: [{ index: 0, function: { arguments: '{"x": ' } }] }),
        delta({
          tool_calls: [
            { index: 1, id: "b", type: "function", function: { name: "g", arguments: "{}" } },
          ],
        }),
        delta({ tool_calls: [{ index: 0, function: { arguments: "1.0}" } }] }),
        end("tool_calls"),
        usage,
      ],
      {
        message: {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "a", type: "function", function: { name: "f", arguments: '{"x": 1.0}' } },
            { id: "b", type: "function", function: { name: "g", arguments: "{}" } },
          ],
        },
        finish_reason: "tool_calls",
      },
    ],
    [
      "log probabilities and token ids",
      [
        {
          ...delta(
            { role: "assistant", content: "y" },
            { logprobs: { content: [token("y")] }, token_ids: [7] },
          ),
          prompt_token_ids: [1, 2],
        },
        delta({ content: "es" }, { logprobs: { content: [token("es")] }, token_ids: [8] }),
        end("length"),
        usage,
      ],
      {
        message: { role: "assistant", content: "yes" },
        finish_reason: "length",
        logprobs: { content: [token("y"), token("es")] },
        token_ids: [7, 8],
      },
      { prompt_token_ids: [1, 2] },
    ],
    [
      "a refusal",
      [
        delta({ role: "assistant", content: null, refusal: "" }),
        delta({ refusal: "I'd " }),
        delta({ refusal: "rather not" }),
        end("stop"),
        usage,
      ],
      {
        message: { role: "assistant", content: null, refusal: "I'd rather not" },
        finish_reason: "stop",
      },
    ],
  ];
  for (const [what, chunks, choice, whole] of cases) {
    test(what, async () => {
      const a = await ask(stream(chunks), streamed);
      const b = await ask(answer(completion({ usage: USED, ...whole }, choice)));
      expect(a.given).toEqual(b.given);
      expect(a.given.usage).toEqual({ requests: 1, ...USED });
      expect(a.asked[0]).toMatchObject({ stream: true, stream_options: { include_usage: true } });
    });
  }

  test("calls that are not numbered are told apart by their ids", () => {
    const assembly = new Assembly();
    for (const [id, text] of [
      ["a", "1"],
      ["a", "2"],
      ["b", "3"],
    ] as const)
      assembly.add(delta({ tool_calls: [{ id, function: { name: id, arguments: text } }] }));
    assembly.add(end("tool_calls"));
    expect(assembly.completion).toMatchObject({
      choices: [
        {
          message: {
            tool_calls: [
              { id: "a", function: { arguments: "12" } },
              { id: "b", function: { arguments: "3" } },
            ],
          },
        },
      ],
    });
  });

  test("what ends before it is over is no answer, and is asked for again", async () => {
    const part = delta({ role: "assistant", content: "y" });
    for (const stop of [
      (response: { end(): void }) => response.end(),
      (response: { destroy(): void }) => response.destroy(),
    ]) {
      const { given, asked } = await ask(stream([part], stop), streamed);
      expect(given.code).toBe("model_lost");
      expect(asked).toHaveLength(3);
    }
  });

  test("an error in the middle of it is one", async () => {
    const broken = stream([
      delta({ content: "y" }),
      { error: { message: "CUDA out of memory", type: "server_error", code: 500 } },
    ]);
    expect((await ask(broken, { ...streamed, retries: 0 })).given.code).toBe("model_failed");
  });
});

describe("an answer that is none is an outcome, asked for once", () => {
  const refused = (message: string, more: JsonObject = {}) => ({
    error: { message, type: "invalid_request_error", param: null, code: null, ...more },
  });
  const cases: readonly (readonly [what: string, status: number, body: unknown, reason: string])[] =
    [
      [
        "OpenAI",
        400,
        refused(
          "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens.",
          {
            code: "context_length_exceeded",
          },
        ),
        "context_length",
      ],
      [
        "vLLM",
        400,
        {
          object: "error",
          message:
            "This model's maximum context length is 32768 tokens. However, you requested 41648 tokens (37552 in the messages, 4096 in the completion).",
          type: "BadRequestError",
          param: null,
          code: 400,
        },
        "context_length",
      ],
      [
        "SGLang",
        400,
        {
          object: "error",
          message:
            "The input (150000 tokens) is longer than the model's context length (128000 tokens).",
          type: "BadRequestError",
          code: 400,
        },
        "context_length",
      ],
      [
        "llama.cpp",
        400,
        {
          error: {
            code: 400,
            message:
              "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it",
            type: "exceed_context_size_error",
          },
        },
        "context_length",
      ],
      [
        "Azure's filter",
        400,
        refused("The response was filtered", { code: "content_filter" }),
        "content_filtered",
      ],
      [
        "a filtered answer",
        200,
        completion(
          {},
          { message: { role: "assistant", content: "" }, finish_reason: "content_filter" },
        ),
        "content_filtered",
      ],
      [
        "a cut answer",
        200,
        completion(
          {},
          { message: { role: "assistant", content: "The answ" }, finish_reason: "length" },
        ),
        "cut",
      ],
      [
        "reasoning up to the limit",
        200,
        completion(
          {},
          {
            message: { role: "assistant", content: null, reasoning: "hm" },
            finish_reason: "length",
          },
        ),
        "cut",
      ],
      [
        "a refusal",
        200,
        completion(
          {},
          { message: { role: "assistant", content: null, refusal: "no" }, finish_reason: "stop" },
        ),
        "refused",
      ],
    ];
  for (const [what, status, body, reason] of cases) {
    test(`${what}: ${reason}`, async () => {
      const { given, asked } = await ask(answer(body, status));
      expect(unansweredOf(given)).toBe(reason as never);
      expect(asked).toHaveLength(1);
    });
  }

  test("what else is refused stays an error, with the server's words", async () => {
    const { given } = await ask(
      answer({ object: "error", message: "no such model", code: 404 }, 404),
    );
    expect(given).toMatchObject({
      code: "model_refused_request",
      message: expect.stringContaining("no such model"),
    });
    const quota = await ask(
      answer(refused("You exceeded your current quota", { code: "insufficient_quota" }), 429),
    );
    expect(quota.given.code).toBe("model_refused_request");
    expect(quota.asked).toHaveLength(1);
  });

  test("an answer that the server gave up is asked for again", async () => {
    const { given, asked } = await ask(answer(completion({}, { finish_reason: "abort" })));
    expect(given.code).toBe("model_failed");
    expect(asked).toHaveLength(3);
  });
});
