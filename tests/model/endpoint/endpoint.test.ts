// One try against an endpoint: what it is asked, what its answers become whole and streamed, and
// what each of its oddities is called.

import { expect, test } from "bun:test";
import type { MatrixError } from "../../../src/error.ts";
import type { ChatAnswer, ChatRequest } from "../../../src/model/contract.ts";
import { Endpoint } from "../../../src/model/endpoint/endpoint.ts";
import type { OpenaiModelConfig } from "../../../src/recipe/schema/model-schema.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import { until } from "../../parts/until.ts";
import { answer, type Behaviour, completion, stream, TestEndpoint } from "../endpoint.ts";
import { openaiConfig } from "./config.ts";

const request = (more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content: "hi" }],
  seed: 1,
  sampling: {},
  origin: null,
  ...more,
});
const endpointAt = (
  url: string,
  more: Partial<OpenaiModelConfig> = {},
  notice?: (what: string) => void,
) => new Endpoint(openaiConfig(more), { url, ip: null, label: "http://a" }, notice);

/**
 * One try at an endpoint that is there for it alone: its answer or its error, and what the endpoint
 * was asked.
 */
async function ask(behaviour: Behaviour, more: Partial<OpenaiModelConfig> = {}) {
  await using endpoint = await TestEndpoint.start(behaviour);
  const given = await endpointAt(endpoint.url, more)
    .ask(request(), new AbortController().signal)
    .catch((error: unknown) => error);
  return { given: given as ChatAnswer & MatrixError, asked: endpoint.asked };
}

const streamed: Partial<OpenaiModelConfig> = { first_token_timeout: 5000 };
const delta = (piece: JsonObject, more: JsonObject = {}): JsonObject => ({
  choices: [{ index: 0, delta: piece, finish_reason: null, ...more }],
});
const end = (finish_reason: string): JsonObject => ({
  choices: [{ index: 0, delta: {}, finish_reason }],
});
const USED = { prompt_tokens: 3, completion_tokens: 4 };
const usage: JsonObject = { choices: [], usage: USED };

test("a request has messages, seed, sampling, tools and schema in the API's shape", async () => {
  await using endpoint = await TestEndpoint.start();
  const tool = { type: "function", function: { name: "f" } };
  const full = request({
    sampling: { temperature: 0, stop: ["x"], model: "other", seed: 9 },
    tools: [tool],
    schema: { type: "object" },
    origin: { row: "a", trial: 0, attempt: 1, role: "r", turn: 0 },
  });
  const signal = new AbortController().signal;
  await endpointAt(endpoint.url).ask(full, signal);
  await endpointAt(endpoint.url).ask(request(), signal);
  const plain = { model: "x", messages: [{ role: "user", content: "hi" }], seed: 1 };
  expect(endpoint.asked).toEqual([
    {
      ...plain,
      temperature: 0,
      stop: ["x"],
      tools: [tool],
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema: { type: "object" }, strict: true },
      },
    },
    plain,
  ]);
});

test("a streamed request asks for the stream and for its usage", async () => {
  const { asked } = await ask(stream([delta({ content: "y" }), end("stop")]), streamed);
  expect(asked[0]).toMatchObject({ stream: true, stream_options: { include_usage: true } });
});

test("the key is in its header alone, and the recipe's headers come last", async () => {
  await using endpoint = await TestEndpoint.start();
  const signal = new AbortController().signal;
  const headers = { "x-own": "1", "user-agent": "mine" };
  await endpointAt(endpoint.url, { api_key: "k1", headers }).ask(request(), signal);
  await endpointAt(endpoint.url).ask(request(), signal);
  const [first, second] = endpoint.headers;
  expect(first).toMatchObject({
    authorization: "Bearer k1",
    "content-type": "application/json",
    "x-own": "1",
    "user-agent": "mine",
  });
  expect(second?.authorization).toBeUndefined();
  expect(second?.["user-agent"]).toMatch(/^matrix\/\d/);
  expect(JSON.stringify(endpoint.asked)).not.toContain("k1");
});

test("user and password of the URL are sent as credentials, and the key goes before them", async () => {
  await using endpoint = await TestEndpoint.start();
  const { signal } = new AbortController();
  const base = `127.0.0.1:${endpoint.port}/v1`;
  await endpointAt(`http://us%40er:p%3Aw@${base}`).ask(request(), signal);
  await endpointAt(`http://us%40er:p%3Aw@${base}`, { api_key: "k1" }).ask(request(), signal);
  await endpointAt(`http://token@${base}`).ask(request(), signal);
  expect(endpoint.headers.map(({ authorization }) => authorization)).toEqual([
    `Basic ${btoa("us@er:p:w")}`,
    "Bearer k1",
    `Basic ${btoa("token:")}`,
  ]);
  expect(endpoint.urls[0]).toBe("POST /v1/chat/completions");
});

test("secrets that a server repeats are masked in errors and in what records keep", async () => {
  const secrets = ["sk-secret", "pass word", "querykey", "headerkey"];
  const said = `no ${secrets.join(", ")}`;
  const echo = (status: number, body: unknown) => answer(body, status);
  for (const [behaviour, config] of [
    [echo(401, { error: { message: said } }), {}],
    [echo(500, said), {}],
    [echo(200, { error: said }), {}],
    [echo(400, { error: { message: said, code: "context_length_exceeded" } }), {}],
    [echo(200, `"${said}`), {}],
    [stream([{ error: { message: said } }]), streamed],
  ] as const) {
    await using endpoint = await TestEndpoint.start(behaviour);
    const url = `http://user:pass%20word@127.0.0.1:${endpoint.port}/v1?key=querykey`;
    const headers = { "x-key": "Token headerkey", "x-short": "no" };
    const at = endpointAt(url, { api_key: "sk-secret", headers, ...config });
    const given = await at.ask(request(), new AbortController().signal).catch((error) => error);
    const text = JSON.stringify([given, given.message]);
    for (const secret of secrets) expect(text).not.toContain(secret);
  }
});

test("a header names the task, the same in each of its requests and in no other's", async () => {
  await using endpoint = await TestEndpoint.start();
  const { signal } = new AbortController();
  const at = endpointAt(endpoint.url, { affinity_header: "X-Session-ID" });
  const origin = { row: "ż\n", trial: 0, attempt: 1, role: "r", turn: 0 };
  for (const more of [{ turn: 1, role: "s", attempt: 2 }, {}, { trial: 1 }, { row: "b" }])
    await at.ask(request({ origin: { ...origin, ...more } }), signal);
  await endpointAt(endpoint.url).ask(request(), signal);
  const ids = endpoint.headers.map((headers) => headers["x-session-id"]);
  expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
  expect(ids[1]).toBe(ids[0]);
  expect(new Set(ids).size).toBe(4);
  expect(ids[4]).toBeUndefined();
});

test("a model whose seed is off sends none", async () => {
  await using endpoint = await TestEndpoint.start();
  await endpointAt(endpoint.url, { seed: false }).ask(request(), new AbortController().signal);
  expect(endpoint.asked).toEqual([{ model: "x", messages: [{ role: "user", content: "hi" }] }]);
});

test("a finish reason that is not known is noticed with its treatment, and known ones are not", async () => {
  const noticed: string[] = [];
  for (const finish_reason of ["stop", "MAX_TOKENS", "whatever"]) {
    await using endpoint = await TestEndpoint.start(answer(completion({}, { finish_reason })));
    const at = endpointAt(endpoint.url, {}, (what) => noticed.push(what));
    await at.ask(request(), new AbortController().signal);
  }
  expect(noticed).toEqual([
    'the endpoint ended an answer with the finish_reason "whatever", which is not known; such ' +
      'answers end their tasks with the stop reason "cut"',
  ]);
});

test("the paths are below the path of the URL, whose query stays", async () => {
  await using endpoint = await TestEndpoint.start();
  const at = endpointAt(`http://127.0.0.1:${endpoint.port}/deep/v1//?key=1`);
  await at.ask(request(), new AbortController().signal);
  await at.isThere();
  expect(endpoint.urls).toEqual([
    "POST /deep/v1/chat/completions?key=1",
    "GET /deep/v1/models?key=1",
  ]);
});

const token = (text: string): JsonObject => ({ token: text, logprob: -0.5, top_logprobs: [] });
const detail = (piece: JsonObject) => ({ reasoning_details: [piece] });
const streams: readonly (readonly [
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
    "calls of tools",
    [
      delta({
        role: "assistant",
        content: null,
        tool_calls: [
          { index: 0, id: "a", type: "function", function: { name: "f", arguments: '{"x": ' } },
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
        ],
      },
      finish_reason: "tool_calls",
    },
  ],
  [
    "thinking in parts",
    [
      delta({ content: [{ type: "thinking", thinking: [{ type: "text", text: "h" }] }] }),
      delta({ content: [{ type: "thinking", thinking: [{ type: "text", text: "m" }] }] }),
      delta({ content: "y" }),
      delta({ content: [{ type: "text", text: "es" }] }),
      end("stop"),
      usage,
    ],
    {
      message: {
        role: "assistant",
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
          { type: "text", text: "yes" },
        ],
      },
      finish_reason: "stop",
    },
  ],
  [
    "details of reasoning",
    [
      delta(detail({ type: "reasoning.text", index: 0, format: "f", text: "h" })),
      delta(detail({ type: "reasoning.text", index: 0, format: "f", text: "m" })),
      delta(detail({ type: "reasoning.text", index: 0, text: null, signature: "s" })),
      delta(detail({ type: "reasoning.encrypted", index: 1, data: "xy", id: "a" })),
      delta(detail({ type: "reasoning.encrypted", index: 2, data: "z", id: "b" })),
      delta({ content: "yes" }),
      end("stop"),
      usage,
    ],
    {
      message: {
        role: "assistant",
        content: "yes",
        reasoning_details: [
          { type: "reasoning.text", index: 0, format: "f", text: "hm", signature: "s" },
          { type: "reasoning.encrypted", index: 1, data: "xy", id: "a" },
          { type: "reasoning.encrypted", index: 2, data: "z", id: "b" },
        ],
      },
      finish_reason: "stop",
    },
  ],
  [
    "parallel calls with one index, and arguments as a table or none",
    [
      delta({ tool_calls: [{ index: 0, id: "a", function: { name: "f", arguments: { x: 1 } } }] }),
      delta({ tool_calls: [{ index: 0, id: "b", function: { name: "g" } }] }),
      end("tool_calls"),
      usage,
    ],
    {
      message: {
        role: "assistant",
        content: null,
        tool_calls: [
          { id: "a", type: "function", function: { name: "f", arguments: { x: 1 } } },
          { id: "b", type: "function", function: { name: "g", arguments: null } },
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
for (const [what, chunks, choice, whole] of streams) {
  test(`${what}: a streamed answer is what it would be whole`, async () => {
    const inPieces = await ask(stream(chunks), streamed);
    const atOnce = await ask(answer(completion({ usage: USED, ...whole }, choice)));
    // The two endpoints have ports of their own.
    const without = ({ given }: typeof atOnce) => ({ ...given, server: null }) as object;
    expect(without(inPieces)).toEqual(without(atOnce));
    expect(inPieces.given.usage).toEqual({ requests: 1, ...USED });
  });
}

test("an endpoint that is asked to stream and answers whole is understood", async () => {
  expect((await ask(answer(), streamed)).given.message).toMatchObject({ content: "yes" });
});

test("a stream that ends or breaks off before its answer does is lost", async () => {
  const part = delta({ role: "assistant", content: "y" });
  for (const [stop, message] of [
    [
      (response: { end(): void }) => response.end(),
      "http://a ended its stream before the answer: it gave no finish_reason",
    ],
    [
      (response: { destroy(): void }) => response.destroy(),
      expect.stringMatching(/^http:\/\/a broke off its answer: /),
    ],
  ] as const) {
    const { given } = await ask(stream([part], stop), streamed);
    expect([given.code, given.message as unknown]).toEqual(["model_lost", message]);
  }
});

test("a stream whose finish reason is empty, null or missing is lost, and a later one counts", async () => {
  for (const finish_reason of ["", null, "null"] as const) {
    const part = delta({ content: "yes" }, { finish_reason });
    expect((await ask(stream([part, part]), streamed)).given.code).toBe("model_lost");
    expect((await ask(stream([part, end("length")]), streamed)).given.finishReason).toBe("length");
    expect((await ask(stream([part, end("error")]), streamed)).given.code).toBe("model_failed");
  }
});

test("an answer whose finish reason has come is whole when only its usage is missing", async () => {
  const chunks = [delta({ content: "yes" }), end("stop")];
  for (const stop of [
    (response: { end(): void }) => response.end(),
    (response: { destroy(): void }) => response.destroy(),
    () => undefined,
  ]) {
    const { given } = await ask(stream(chunks, stop), { first_token_timeout: 1000 });
    expect([given.message as unknown, given.finishReason]).toEqual([
      { role: "assistant", content: "yes" },
      "stop",
    ]);
  }
});

test("an event that is not JSON or no object is a bad answer", async () => {
  const broken: Behaviour = ({ response }) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end('data: {"choices"\n\n');
  };
  const { given } = await ask(broken, streamed);
  expect([given.code, given.message as unknown]).toEqual([
    "model_bad_answer",
    expect.stringMatching(/^the answer of http:\/\/a is not JSON: /),
  ]);
  expect((await ask(stream([5]), streamed)).given).toMatchObject({
    code: "model_bad_answer",
    message: "the answer is not a chat completion: an event of it is not an object",
  });
});

test("an error in a stream is a failure, or the outcome of too long a request", async () => {
  const saying = (error: JsonObject) => stream([delta({ content: "y" }), { error }]);
  const broken = await ask(saying({ message: "CUDA out of memory", code: 500 }), streamed);
  expect(broken.given).toMatchObject({
    code: "model_failed",
    message: "http://a broke off its answer: CUDA out of memory",
  });
  const long = await ask(saying({ message: "why", code: "context_length_exceeded" }), streamed);
  expect(long.given.finishReason).toBe("context_length");
});

test("an error in an answer with status 200 is an error of its kind, whole and streamed", async () => {
  const full = { error: { message: "slow down", type: "rate_limit_error" } };
  const inChoice = { choices: [{ index: 0, error: { message: "slow down", code: 429 } }] };
  for (const [body, config] of [
    [answer(full), {}],
    [answer(full), streamed],
    [answer(inChoice), {}],
    [answer(completion(full)), {}],
    [stream([full]), streamed],
    [stream([delta({ content: "y" }), full]), streamed],
    [stream([delta({ content: "y" }), inChoice]), streamed],
  ] as const) {
    const { given } = await ask(body, config);
    expect([given.code, given.message as unknown]).toEqual([
      "model_overloaded",
      expect.stringMatching(
        /^http:\/\/a (broke off its answer|answered with an error): slow down$/,
      ),
    ]);
  }
  const long = { error: "Context size has been exceeded." };
  for (const behaviour of [answer(long), stream([long])])
    expect((await ask(behaviour, streamed)).given.finishReason).toBe("context_length");
});

test("an error status is an error or an outcome, whole and streamed", async () => {
  for (const config of [{}, streamed]) {
    const failing = await ask(answer({ error: { message: "no such model" } }, 404), config);
    expect(failing.given).toMatchObject({
      code: "model_denied",
      message: "http://a answered 404: no such model",
    });
    const full = await ask(answer("full", 429, { "retry-after": "7" }), config);
    expect(full.given).toMatchObject({ code: "model_overloaded", retryAfterMs: 7000 });
    const long = { error: { message: "why", code: "context_length_exceeded" } };
    expect((await ask(answer(long, 400), config)).given.finishReason).toBe("context_length");
  }
});

test("any status from 200 to 299 is an answer, and those next to it are not", async () => {
  for (const status of [200, 299])
    expect((await ask(answer(completion(), status))).given.message).toMatchObject({
      content: "yes",
    });
  expect((await ask(answer(completion(), 300))).given.code).toBe("model_refused_request");
});

test("a body that is not JSON is a bad answer that says where, and what a web page means", async () => {
  for (const [body, hint] of [
    ["{", undefined],
    ["\n <html>", "it is a web page: base_url must lead to the API, mostly with /v1 at its end"],
  ] as const) {
    const { code, message, hint: given } = (await ask(answer(body))).given as MatrixError;
    expect(message).toMatch(/^the answer of http:\/\/a is not JSON: /);
    expect([code, given]).toEqual(["model_bad_answer", hint]);
  }
});

test("an answer that takes longer than the time-out is cut, and the server sees it", async () => {
  await using endpoint = await TestEndpoint.start(() => undefined);
  const given = await endpointAt(endpoint.url, { timeout: 30 })
    .ask(request(), new AbortController().signal)
    .catch((error: unknown) => error);
  expect(given).toMatchObject({
    code: "model_timeout",
    message: "http://a gave no whole answer within 30 ms",
  });
  await until(() => endpoint.abandoned === 1, "the server sees it");
});

test("a stream that falls silent is cut, also before its first event", async () => {
  const part = delta({ role: "assistant", content: "y" });
  for (const chunks of [[], [part]]) {
    const { given } = await ask(
      stream(chunks, () => undefined),
      { first_token_timeout: 50 },
    );
    expect(given).toMatchObject({
      code: "model_timeout",
      message: "http://a gave no token for 50 ms",
    });
  }
});

test("a signal that aborts is the reason, whatever broke first", async () => {
  await using endpoint = await TestEndpoint.start(({ response }) => void response.destroy());
  const reason = new Error("stop");
  await expect(endpointAt(endpoint.url).ask(request(), AbortSignal.abort(reason))).rejects.toBe(
    reason,
  );
  expect(endpoint.asked).toHaveLength(0);
  endpoint.behaviour = () => undefined;
  const controller = new AbortController();
  const asking = endpointAt(endpoint.url)
    .ask(request(), controller.signal)
    .catch((thrown: unknown) => thrown);
  await until(() => endpoint.inFlight === 1, "the request is there");
  controller.abort(reason);
  expect(await asking).toBe(reason);
});

test("an endpoint is there when it answers with a status below 500", async () => {
  await using endpoint = await TestEndpoint.start();
  const at = endpointAt(endpoint.url);
  for (const [status, isThere] of [
    [200, true],
    [404, true],
    [500, false],
    [503, false],
  ] as const) {
    endpoint.probeStatus = status;
    expect([status, await at.isThere()]).toEqual([status, isThere]);
  }
  await endpoint.vanish();
  expect(await at.isThere()).toBe(false);
});

test("a streamed answer with a piece that is nested too deeply is a bad answer", async () => {
  const deep = JSON.parse(`${'{"a":'.repeat(1000)}1${"}".repeat(1000)}`) as JsonObject;
  const pieces = [delta({ content: "y", extra: deep }), delta({ extra: deep }), end("stop")];
  expect((await ask(stream(pieces), streamed)).given).toMatchObject({
    code: "model_bad_answer",
    message: expect.stringContaining("it is nested more than 256 levels deep"),
  });
});

test("an error of more bytes than an answer may have is still the error of its status", async () => {
  const page = Buffer.alloc(65 * 2 ** 20, " ");
  const { given } = await ask(({ response }) => {
    response.on("error", () => undefined);
    response.writeHead(500);
    response.end(page);
  });
  expect(given).toMatchObject({
    code: "model_failed",
    message: "http://a answered 500: the answer is larger than 64 MiB",
  });
});
