// The simulated model behind HTTP: its answers whole and streamed, and each of its failures as a
// client sees it.

import { expect, test } from "bun:test";
import { createModelServer } from "../../../src/model/served/server.ts";
import { type Replies, TOO_LONG } from "../../../src/model/simulated.ts";
import { loadModel } from "../../../src/recipe/load.ts";

const BODY = { model: "asked", messages: [{ role: "user", content: "hello" }], seed: 3 };
const PATH = "/v1/chat/completions";

async function appOf(
  settings: readonly string[] = [],
  replies: Replies | null = () => "one two three four five",
) {
  const overrides = ["latency=0ms", ...settings].map((setting) => `models.m.${setting}`);
  const config = await loadModel("m", { env: {}, cwd: "/", overrides });
  return createModelServer({ name: "m", config, replies });
}
const post = (body: unknown, more: RequestInit = {}) =>
  new Request(`http://host${PATH}`, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...more,
  });
const messageOf = async (response: Response) =>
  ((await response.json()) as { error: { message: string } }).error.message;
const eventsOf = async (response: Response) =>
  (await response.text())
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => event.replace(/^data: /, ""));

test("a completion has the asked model's name, its message, usage and fingerprint", async () => {
  const response = await (await appOf()).fetch(post(BODY));
  const { created, ...completion } = (await response.json()) as { readonly created: number };
  expect(response.status).toBe(200);
  expect(created).toBeCloseTo(Date.now() / 1000, -2);
  expect(completion).toEqual({
    id: "chatcmpl-simulated",
    object: "chat.completion",
    model: "asked",
    system_fingerprint: "simulated",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "one two three four five" },
        finish_reason: "stop",
        logprobs: null,
      },
    ],
    usage: { prompt_tokens: 6, completion_tokens: 6, total_tokens: 12 },
  });
});

test("a stream has the role, pieces of four words, the finish reason and the usage", async () => {
  const app = await appOf();
  const frame = {
    id: "chatcmpl-simulated",
    object: "chat.completion.chunk",
    created: 0,
    model: "asked",
    system_fingerprint: "simulated",
  };
  const piece = (delta: object, finish_reason: string | null = null) => ({
    ...frame,
    choices: [{ index: 0, delta, finish_reason }],
  });
  const expected = [
    piece({ role: "assistant", content: "" }),
    piece({ content: "one two three four " }),
    piece({ content: "five" }),
    piece({}, "stop"),
  ];
  const response = await app.fetch(post({ ...BODY, stream: true }));
  expect(response.headers.get("content-type")).toStartWith("text/event-stream");
  const events = await eventsOf(response);
  expect(events.at(-1)).toBe("[DONE]");
  expect(events.slice(0, -1).map((event) => JSON.parse(event))).toEqual(expected);
  const withUsage = await eventsOf(
    await app.fetch(post({ ...BODY, stream: true, stream_options: { include_usage: true } })),
  );
  expect(JSON.parse(withUsage.at(-2) ?? "")).toEqual({
    ...frame,
    choices: [],
    usage: { prompt_tokens: 6, completion_tokens: 6, total_tokens: 12 },
  });
});

test("calls of tools are in the first piece of a stream", async () => {
  const calls = [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }];
  const message = { role: "assistant" as const, content: null, tool_calls: calls };
  const app = await appOf([], () => message);
  const [first, last] = await eventsOf(await app.fetch(post({ ...BODY, stream: true })));
  expect(JSON.parse(first ?? "").choices[0].delta).toEqual({
    role: "assistant",
    tool_calls: calls.map((call) => ({ index: 0, ...call })),
    content: "",
  });
  expect(JSON.parse(last ?? "").choices[0].finish_reason).toBe("tool_calls");
});

const failures: readonly (readonly [
  setting: string,
  status: number,
  type: string,
  message: string,
  code?: string,
])[] = [
  ["errors.rate_limited=1", 429, "rate_limit_error", "rate limit reached (simulated)"],
  ["errors.server_error=1", 500, "server_error", "internal error (simulated)"],
  ["errors.timeout=1", 504, "server_error", "timed out (simulated)"],
  [
    "errors.context_length=1",
    400,
    "invalid_request_error",
    String(TOO_LONG.message["error"]),
    "context_length_exceeded",
  ],
];
for (const [setting, status, type, message, code = null] of failures) {
  test(`${setting} is answered with ${status}, whole and streamed`, async () => {
    const app = await appOf([setting, "retry_after=1500ms", "timeout=5ms"]);
    for (const body of [BODY, { ...BODY, stream: true }]) {
      const response = await app.fetch(post(body));
      expect(response.status).toBe(status);
      expect(await response.json()).toEqual({ error: { message, type, param: null, code } });
      expect(response.headers.get("retry-after")).toBe(status === 429 ? "1.5" : null);
    }
  });
}

test("a malformed answer is half of a body, or a stream with a broken event", async () => {
  const app = await appOf(["errors.malformed=1"]);
  const whole = await (await app.fetch(post(BODY))).text();
  expect(whole).toStartWith('{"id":"chatcmpl-simulated"');
  expect(() => JSON.parse(whole)).toThrow();
  const events = await eventsOf(await app.fetch(post({ ...BODY, stream: true })));
  expect(events.at(-1)).toBe('{"choices": [{');
  expect(events).toHaveLength(3);
});

test("a lost answer breaks off, whole and streamed", async () => {
  const app = await appOf(["errors.lost=1"]);
  await expect((await app.fetch(post(BODY))).text()).rejects.toThrow("lost (simulated)");
  const events = await eventsOf(await app.fetch(post({ ...BODY, stream: true })));
  expect(events).not.toContain("[DONE]");
  expect(events).toHaveLength(2);
});

test("a stalled answer ends only when its client goes", async () => {
  const app = await appOf(["errors.stalled=1"]);
  for (const body of [BODY, { ...BODY, stream: true }]) {
    const controller = new AbortController();
    const response = await app.fetch(post(body, { signal: controller.signal }));
    const reader = response.body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    controller.abort();
    await reader?.read().catch(() => undefined);
  }
});

test("a client that asks again has another try, whose failure is drawn anew", async () => {
  const app = await appOf(["errors.server_error=0.5", "retry_after=0s"]);
  const statuses: number[] = [];
  for (let number = 0; number < 30; number++) statuses.push((await app.fetch(post(BODY))).status);
  expect(new Set(statuses)).toEqual(new Set([200, 500]));
  const again = await appOf(["errors.server_error=0.5", "retry_after=0s"]);
  for (const status of statuses) expect((await again.fetch(post(BODY))).status).toBe(status);
});

test("bodies that cannot be parsed, other paths and failing replies are told apart", async () => {
  const app = await appOf();
  const wrong = await app.fetch(post("{"));
  expect([wrong.status, await messageOf(wrong)]).toEqual([400, "the body is not JSON"]);
  const elsewhere = await app.fetch(new Request("http://host/v2/chat"));
  expect([elsewhere.status, await messageOf(elsewhere)]).toEqual([
    404,
    "no such path: GET /v2/chat; use POST /v1/chat/completions, /v1/completions or " +
      "/v1/embeddings, or GET /v1/models",
  ]);
  const failing = await appOf([], () => {
    throw new Error("no such row");
  });
  const failed = await failing.fetch(post(BODY));
  expect([failed.status, await messageOf(failed)]).toEqual([
    400,
    "the simulated model's replies failed: no such row",
  ]);
});

test("the list of models and the health say that the model is simulated", async () => {
  const app = await appOf();
  expect(await (await app.fetch(new Request("http://host/v1/models"))).json()).toEqual({
    object: "list",
    data: [{ id: "m", object: "model", created: 0, owned_by: "simulated" }],
  });
  expect(await (await app.fetch(new Request("http://host/healthz"))).json()).toEqual({
    status: "ok",
    simulated: true,
  });
});

interface Token {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly Token[];
}
interface Choice {
  readonly index: number;
  readonly text: string;
  readonly finish_reason: string;
  readonly message: {
    readonly content: string;
    readonly tool_calls?: readonly {
      readonly id: string;
      readonly function: { readonly name: string; readonly arguments: string };
    }[];
  };
  readonly logprobs: {
    readonly content: readonly Token[];
    readonly refusal: null;
    readonly tokens: readonly string[];
    readonly token_logprobs: readonly number[];
    readonly top_logprobs: readonly object[];
    readonly text_offset: readonly number[];
  };
}
interface Answered {
  readonly choices: readonly [Choice, ...Choice[]];
  readonly data: readonly { readonly embedding: readonly number[] }[];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
}
const answerTo = async (app: Awaited<ReturnType<typeof appOf>>, path: string, body: unknown) =>
  (await (await ask(app, path, body)).json()) as Answered;
const ask = async (app: Awaited<ReturnType<typeof appOf>>, path: string, body: unknown) =>
  app.fetch(new Request(`http://host${path}`, { method: "POST", body: JSON.stringify(body) }));
type Chunk = {
  choices: {
    index: number;
    delta: Record<string, unknown>;
    text?: string;
    finish_reason: string | null;
    logprobs?: { content: { token: string }[] };
  }[];
};
const chunksOf = async (response: Response) =>
  (await eventsOf(response)).slice(0, -1).map((event) => JSON.parse(event) as Chunk);

test("several choices share their prompt's tokens, and the first is that of a request for one", async () => {
  const app = await appOf(["output_tokens=3"], null);
  const one = await answerTo(app, PATH, BODY);
  const three = await answerTo(app, PATH, { ...BODY, n: 3 });
  expect(three.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(three.choices[0]).toEqual(one.choices[0]);
  expect(new Set(three.choices.map((choice) => choice.message.content)).size).toBe(3);
  expect(three.usage.prompt_tokens).toBe(one.usage.prompt_tokens);
  expect(three.usage.completion_tokens).toBeGreaterThan(one.usage.completion_tokens);
  const chunks = await chunksOf(await ask(app, PATH, { ...BODY, n: 3, stream: true }));
  for (const { index, message, finish_reason } of three.choices) {
    const own = chunks.flatMap(({ choices }) => choices).filter((one) => one.index === index);
    expect(own.map(({ delta }) => delta["content"] ?? "").join("")).toBe(message.content);
    expect(own.at(-1)?.finish_reason).toBe(finish_reason);
  }
});

test("log probabilities stand beside each token, the same whole and streamed", async () => {
  const app = await appOf([], () => "one two żółw");
  const body = { ...BODY, logprobs: true, top_logprobs: 2 };
  const whole = await answerTo(app, PATH, body);
  const { content, refusal } = whole.choices[0].logprobs;
  expect(refusal).toBeNull();
  expect(content.map(({ token }) => token)).toEqual(["one ", "two ", "żółw"]);
  expect(content.length).toBe(whole.usage.completion_tokens);
  for (const { token, logprob, bytes, top_logprobs } of content) {
    expect(new TextDecoder().decode(new Uint8Array(bytes))).toBe(token);
    expect(logprob).toBeLessThanOrEqual(0);
    expect(top_logprobs[0] as unknown).toEqual({ token, logprob, bytes });
    expect(top_logprobs).toHaveLength(2);
    expect(top_logprobs[1]?.logprob).toBeLessThan(logprob);
  }
  const chunks = await chunksOf(await ask(app, PATH, { ...body, stream: true }));
  const streamed = chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
  expect(streamed as unknown).toEqual(content);
  const bare = await answerTo(app, PATH, { ...BODY, logprobs: true });
  expect(bare.choices[0].logprobs.content[0]?.top_logprobs).toEqual([]);
});

const TOOLS = [
  {
    type: "function",
    function: {
      name: "look",
      parameters: {
        type: "object",
        properties: { place: { enum: ["here", "there"] }, depth: { type: "integer", maximum: 3 } },
      },
    },
  },
  { type: "function", function: { name: "wait" } },
];

test("a tool that must be called is called with arguments that fit it", async () => {
  const app = await appOf([], null);
  const callOf = async (tool_choice: unknown) => {
    const answer = await answerTo(app, PATH, { ...BODY, tools: TOOLS, tool_choice });
    const [choice] = answer.choices;
    return { ...choice, call: choice.message.tool_calls?.[0] };
  };
  const look = await callOf({ type: "function", function: { name: "look" } });
  expect(look).toMatchObject({ finish_reason: "tool_calls", message: { content: null } });
  expect(look.call).toMatchObject({ type: "function", function: { name: "look" } });
  expect(look.call?.id).toMatch(/^call_[0-9a-f]{8}$/);
  const { place, depth } = JSON.parse(look.call?.function.arguments ?? "");
  expect(["here", "there"]).toContain(place);
  expect(depth).toBeLessThanOrEqual(3);
  const wait = await callOf({ type: "function", function: { name: "wait" } });
  expect(wait.call?.function).toEqual({ name: "wait", arguments: "{}" });
  expect(["look", "wait"]).toContain(String((await callOf("required")).call?.function.name));
  for (const choice of ["none", "auto", undefined])
    expect(await callOf(choice)).toMatchObject({ call: undefined, finish_reason: "stop" });
});

test("any of the tools is called when one must be", async () => {
  const app = await appOf([], null);
  const names = new Set<string | undefined>();
  for (let seed = 0; seed < 20; seed++) {
    const body = { ...BODY, seed, tools: TOOLS, tool_choice: "required" };
    const [choice] = (await answerTo(app, PATH, body)).choices;
    names.add(choice.message.tool_calls?.[0]?.function.name);
  }
  expect(names).toEqual(new Set(["look", "wait"]));
});

test("log probabilities of a long text are the same whole and in pieces, at their places", async () => {
  const app = await appOf([], () => "0123456789abcdefghijklmnopqrstuvwxyz");
  const body = { prompt: "a", logprobs: 1 };
  const { logprobs } = (await answerTo(app, "/v1/completions", body)).choices[0];
  expect(logprobs.text_offset).toEqual([0, 4, 8, 12, 16, 20, 24, 28, 32]);
  const chunks = await chunksOf(await ask(app, "/v1/completions", { ...body, stream: true }));
  const parts = chunks.flatMap(
    ({ choices }) => (choices[0]?.logprobs as Choice["logprobs"] | undefined) ?? [],
  );
  expect(parts).toHaveLength(3);
  for (const field of ["tokens", "token_logprobs", "top_logprobs", "text_offset"] as const)
    expect(parts.flatMap((part) => part[field] as unknown[])).toEqual([...logprobs[field]]);
});

test("a body above the limit is refused at each path", async () => {
  const app = await appOf();
  const large = JSON.stringify({ input: "x".repeat(64 * 2 ** 20) });
  for (const path of [PATH, "/v1/completions", "/v1/embeddings"]) {
    const request = new Request(`http://host${path}`, { method: "POST", body: large });
    expect((await app.fetch(request)).status).toBe(413);
  }
});

test("a reply with a call of its own is kept, and words give way to a call that is demanded", async () => {
  const calls = [{ id: "c", type: "function", function: { name: "wait", arguments: "{}" } }];
  const replying = await appOf([], () => ({ role: "assistant", content: null, tool_calls: calls }));
  const demanded = { ...BODY, tools: TOOLS, tool_choice: "required" };
  const own = await answerTo(replying, PATH, demanded);
  expect(own.choices[0].message.tool_calls as unknown).toEqual(calls);
  const words = await answerTo(await appOf(), PATH, demanded);
  expect(words.choices[0].message).toMatchObject({ content: null, tool_calls: [{}] });
});

test("a JSON object that is asked for is one", async () => {
  const body = { ...BODY, response_format: { type: "json_object" } };
  const answer = await answerTo(await appOf([], null), PATH, body);
  expect(JSON.parse(answer.choices[0].message.content)).toEqual({ answer: expect.any(String) });
});

test("a text completion has the text of each prompt, with its prompt when that is asked for", async () => {
  const app = await appOf([], ({ messages }) => `re ${messages[0]?.content}`);
  const answer = await answerTo(app, "/v1/completions", {
    prompt: ["a", "b"],
    echo: true,
    logprobs: 1,
  });
  expect(answer).toMatchObject({
    id: "cmpl-simulated",
    object: "text_completion",
    model: "m",
    choices: [
      { index: 0, text: "are a", finish_reason: "stop" },
      { index: 1, text: "bre b", finish_reason: "stop" },
    ],
    usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
  });
  const { tokens, token_logprobs, top_logprobs, text_offset } = answer.choices[0].logprobs;
  expect([tokens, text_offset]).toEqual([
    ["are ", "a"],
    [0, 4],
  ]);
  expect(token_logprobs).toHaveLength(2);
  expect(Object.keys(top_logprobs[0] ?? {})).toEqual(["are "]);
  const chunks = await chunksOf(
    await ask(app, "/v1/completions", { prompt: "a", stream: true, logprobs: 0 }),
  );
  expect(chunks.map(({ choices }) => choices[0]?.text).join("")).toBe("re a");
  expect(chunks[0]).toMatchObject({ object: "text_completion", choices: [{ index: 0 }] });
  expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("stop");
});

test("a text completion is cut after 16 tokens, and fails as a chat does", async () => {
  const long = await appOf([], () => "x".repeat(100));
  const answer = await answerTo(long, "/v1/completions", { prompt: "a" });
  expect(answer.choices[0]).toMatchObject({ text: "x".repeat(64), finish_reason: "length" });
  const failing = await appOf(["errors.rate_limited=1"]);
  expect((await ask(failing, "/v1/completions", { prompt: "a" })).status).toBe(429);
});

test("bad bodies are answered with 400 and the field at each path", async () => {
  const app = await appOf();
  for (const [path, body, param] of [
    [PATH, { ...BODY, n: 0 }, "n"],
    ["/v1/completions", { prompt: 5 }, "prompt"],
    ["/v1/embeddings", { input: 5 }, "input"],
  ] as const) {
    const response = await ask(app, path, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: {
        message: expect.stringContaining(`${param} must be`),
        type: "invalid_request_error",
        param,
        code: null,
      },
    });
  }
});

test("a model is found by its name, and no other one is there", async () => {
  const app = await appOf();
  const at = (name: string) => app.fetch(new Request(`http://host/v1/models/${name}`));
  expect(await (await at("m")).json()).toEqual({
    id: "m",
    object: "model",
    created: 0,
    owned_by: "simulated",
  });
  const missing = await at("org/other");
  expect(missing.status).toBe(404);
  expect(await missing.json()).toEqual({
    error: {
      message: "the model org/other does not exist; there is m",
      type: "invalid_request_error",
      param: "model",
      code: "model_not_found",
    },
  });
});

test("embeddings are served", async () => {
  const app = await appOf();
  const answer = await answerTo(app, "/v1/embeddings", { input: "a" });
  expect(answer.data[0]?.embedding).toHaveLength(256);
});
