// Answers that an endpoint bills and that are no use: what of them counts, and what of their text
// is kept.

import { expect, test } from "bun:test";
import type { MatrixError } from "../../../src/error.ts";
import type { RejectedAnswer } from "../../../src/model/contract.ts";
import { Endpoint } from "../../../src/model/endpoint/endpoint.ts";
import type { OpenaiModelConfig } from "../../../src/recipe/schema/model-schema.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";
import { answer, type Behaviour, completion, stream, TestEndpoint } from "../endpoint.ts";
import { openaiConfig } from "./config.ts";

const REQUEST = { messages: [], seed: 1, sampling: {}, origin: null };
const STREAMED: Partial<OpenaiModelConfig> = { first_token_timeout: 5000 };
const STATED = {
  prompt_tokens: 30,
  completion_tokens: 4,
  cost: 0.25,
  prompt_tokens_details: { cached_tokens: 20 },
};
const USAGE = {
  ...{ requests: 1, prompt_tokens: 30, completion_tokens: 4, cached_tokens: 20 },
  ...{ failed_requests: 1, stated_cost: 0.25 },
};

async function ask(behaviour: Behaviour, more: Partial<OpenaiModelConfig> = {}) {
  await using endpoint = await TestEndpoint.start(behaviour);
  const rejected: RejectedAnswer[] = [];
  const given = await new Endpoint(openaiConfig(more), {
    ...{ url: endpoint.url, ip: null, label: "http://a" },
  })
    .ask(REQUEST, new AbortController().signal, (one) => void rejected.push(one))
    .catch((error: unknown) => error as MatrixError);
  return { given, rejected };
}

const message = (content: Json, more: JsonObject = {}): JsonObject => ({
  message: { role: "assistant", content, ...more },
});
const whole = (choice: JsonObject): Behaviour => answer(completion({ usage: STATED }, choice));
const delta = (content: string, more: JsonObject = {}): JsonObject => ({
  choices: [{ index: 0, delta: { content }, finish_reason: null }],
  ...more,
});
const end = (finish_reason: string, more: JsonObject = {}): JsonObject => ({
  choices: [{ index: 0, delta: {}, finish_reason }],
  ...more,
});
const usage = { choices: [], usage: STATED };
const breaks = (response: { destroy(): unknown }) => void setTimeout(() => response.destroy(), 20);

const CASES: readonly (readonly [
  what: string,
  behaviour: Behaviour,
  more: Partial<OpenaiModelConfig>,
  code: string,
  content: string | null,
])[] = [
  ["an empty message", whole(message("")), {}, "model_bad_answer", null],
  ["no choices", answer({ choices: [], usage: STATED }), {}, "model_bad_answer", null],
  ["a choice without a message", whole({ message: null }), {}, "model_bad_answer", null],
  [
    "a finish reason of an error",
    whole({ ...message("half"), finish_reason: "error" }),
    ...([{}, "model_failed", "half"] as const),
  ],
  [
    "a broken tool call",
    whole(message("calling", { tool_calls: [{ id: "1" }] })),
    ...([{}, "model_bad_answer", "calling"] as const),
  ],
  [
    "an error beside its usage",
    answer({ error: { message: "overloaded" }, usage: STATED }),
    ...([{}, "model_overloaded", null] as const),
  ],
  [
    "an error status with a usage",
    answer({ error: { message: "no" }, usage: STATED }, 500),
    ...([{}, "model_failed", null] as const),
  ],
  ["an empty stream", stream([end("stop"), usage]), STREAMED, "model_bad_answer", null],
  [
    "a stream of an error's finish reason",
    stream([delta("half"), end("abort"), usage]),
    ...([STREAMED, "model_failed", "half"] as const),
  ],
  [
    "a stream that breaks after its usage",
    stream([delta("ha", { usage: STATED }), delta("lf")], breaks),
    ...([STREAMED, "model_lost", "half"] as const),
  ],
  [
    "a stream that ends before its finish reason",
    stream([delta("half", { usage: STATED })]),
    ...([STREAMED, "model_lost", "half"] as const),
  ],
  [
    "a stream with an error that states the usage",
    stream([delta("half"), { error: { message: "broken" }, usage: STATED }]),
    ...([STREAMED, "model_failed", "half"] as const),
  ],
  [
    "a stream with an event that is not an object",
    stream([delta("half", { usage: STATED }), 7]),
    ...([STREAMED, "model_bad_answer", "half"] as const),
  ],
  [
    "a stream that stalls",
    stream([delta("half", { usage: STATED })], () => undefined),
    ...([{ first_token_timeout: 60 }, "model_timeout", "half"] as const),
  ],
];

for (const [what, behaviour, more, code, content] of CASES)
  test(`${what} is billed, and what it states counts`, async () => {
    const { given, rejected } = await ask(behaviour, more);
    expect(given).toMatchObject({ code });
    expect(rejected).toMatchObject([
      { problem: (given as MatrixError).message, message: { role: "assistant", content } },
    ]);
    expect(rejected[0]?.usage).toEqual(USAGE);
  });

test("a cost in a header counts for an answer that is not JSON, or that breaks off", async () => {
  const cost = { "x-litellm-response-cost": "0.5" };
  for (const behaviour of [
    answer("{oops", 200, cost),
    ({ response }) => {
      response.writeHead(200, { "content-type": "application/json", ...cost });
      response.write("{");
      breaks(response);
    },
  ] satisfies Behaviour[]) {
    const { rejected } = await ask(behaviour);
    expect(rejected.map((one) => one.usage)).toEqual([
      {
        ...{ requests: 1, prompt_tokens: 0, completion_tokens: 0 },
        ...{ failed_requests: 1, stated_cost: 0.5 },
      },
    ]);
  }
});

test("an answer that states neither tokens nor a cost is not billed, and a good one is not rejected", async () => {
  for (const [behaviour, more] of [
    [answer(completion({ usage: null }, message(""))), {}],
    [answer(completion({ usage: { prompt_tokens: 0 } }, message(""))), {}],
    [answer("oops", 503), {}],
    [stream([delta("half")]), STREAMED],
    [whole(message("yes")), {}],
    [stream([delta("yes"), end("stop"), usage]), STREAMED],
  ] as const)
    expect((await ask(behaviour, more)).rejected).toEqual([]);
});

test("an outcome that came as an error has the usage that it states", async () => {
  const error = { message: "filtered", code: "content_filter" };
  const { failed_requests: _, ...counted } = USAGE;
  for (const [behaviour, more] of [
    [answer({ error, usage: STATED }), {}],
    [answer({ error, usage: STATED }, 400), {}],
    [stream([delta("half"), { error, usage: STATED }]), STREAMED],
  ] as const) {
    const { given, rejected } = await ask(behaviour, more);
    expect(given).toMatchObject({ finishReason: "content_filter", usage: counted });
    expect(rejected).toEqual([]);
  }
});

test("a request that is given up tells of its bill before the reason is heard elsewhere", async () => {
  await using endpoint = await TestEndpoint.start(
    stream([delta("half", { usage: STATED })], () => undefined),
  );
  const address = { url: endpoint.url, ip: null, label: "a" };
  const reason = new Error("too late");
  const rejected: RejectedAnswer[] = [];
  // Nothing shows when the client has read the first event, so it is given ever more time.
  for (let turns = 1; rejected.length === 0; turns *= 2) {
    const controller = new AbortController();
    const asking = new Endpoint(openaiConfig(STREAMED), address)
      .ask(REQUEST, controller.signal, (one) => void rejected.push(one))
      .catch((thrown: unknown) => thrown);
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    controller.abort(reason);
    const { length } = rejected;
    expect(await asking).toBe(reason);
    expect(rejected).toHaveLength(length);
  }
  expect(rejected).toMatchObject([{ problem: "too late", usage: USAGE }]);
});

test("an answer is told once, or not at all, when its request is given up later", async () => {
  for (const [content, times] of [
    ["", 1],
    ["yes", 0],
  ] as const) {
    await using endpoint = await TestEndpoint.start(whole(message(content)));
    const controller = new AbortController();
    const rejected: RejectedAnswer[] = [];
    await new Endpoint(openaiConfig(), { url: endpoint.url, ip: null, label: "a" })
      .ask(REQUEST, controller.signal, (one) => void rejected.push(one))
      .catch(() => undefined);
    controller.abort();
    expect(rejected).toHaveLength(times);
  }
});

test("texts of an answer that is no use are kept within limits, tool calls as text", async () => {
  const tool_calls = [{ id: "1" }];
  const long = { reasoning_content: "r".repeat(20_001), tool_calls };
  const { rejected } = await ask(
    whole({ ...message("c".repeat(20_000), long), finish_reason: "error" }),
  );
  expect(rejected[0]?.message).toEqual({
    role: "assistant",
    content: "c".repeat(20_000),
    reasoning_content: "r".repeat(20_000),
    tool_calls_text: JSON.stringify(tool_calls),
  });
  expect(rejected[0]?.finishReason).toBe("error");
});

test("a deeply nested answer is billed and its text is left out", async () => {
  let deep: Json = "x";
  for (let level = 0; level < 300; level++) deep = [{ type: "text", text: deep }];
  const { rejected } = await ask(whole(message(deep)));
  expect(rejected).toMatchObject([{ message: { content: null }, usage: USAGE }]);
});

test("a simulated endpoint's answer that is no use is labelled as such", async () => {
  const { rejected } = await ask(
    answer(completion({ usage: STATED, system_fingerprint: "simulated" }, message(""))),
  );
  expect([rejected[0]?.simulated, rejected[0]?.finishReason]).toEqual([true, "stop"]);
});
