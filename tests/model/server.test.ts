// The simulated model behind HTTP: its answers whole and streamed, and each of its failures as a
// client sees it.

import { expect, test } from "bun:test";
import { createModelServer } from "../../src/model/server.ts";
import { type Replies, TOO_LONG } from "../../src/model/simulated.ts";
import { loadModel } from "../../src/recipe/load.ts";

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
    tool_calls: calls,
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
    "no such path: /v2/chat; use POST /v1/chat/completions",
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
