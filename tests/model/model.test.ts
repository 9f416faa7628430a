// Models: what a request becomes, what is tried again, and that everything that goes wrong has its code. The endpoint is the
// simulated model behind its server, or a socket that misbehaves on purpose.

import { afterAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { compileTemplate } from "../../src/agent/template.ts";
import type { ChatRequest } from "../../src/model/contract.ts";
import { sample } from "../../src/model/distribution.ts";
import { createModelServer } from "../../src/model/server.ts";
import { simulate } from "../../src/model/simulated.ts";
import { serve } from "../../src/platform.ts";
import { loadModel } from "../../src/recipe/load.ts";
import type { ModelConfig, SimulatedModelConfig } from "../../src/recipe/model-schema.ts";
import { createRandom } from "../../src/task/seed.ts";
import { openModel } from "./opened.ts";

const closing: (() => Promise<void> | void)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

const parts = {
  loadModule: async () => ({}),
  loadTemplate: async (source: unknown, name: string) =>
    compileTemplate((source as { text: string }).text, name),
};

const simulatedConfig = (...settings: string[]): Promise<SimulatedModelConfig> =>
  loadModel("m", {
    env: {},
    cwd: "/",
    overrides: settings.map((setting) => `models.m.${setting}`),
  });

const request = (content = "hello", more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content }],
  seed: 1,
  sampling: {},
  origin: null,
  ...more,
});
const patient = new AbortController().signal;

async function serveSimulated(...settings: string[]): Promise<string> {
  const server = serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: createModelServer({
      name: "m",
      config: await simulatedConfig(...settings),
      replies: null,
    }).fetch,
  });
  closing.push(() => server.stop());
  return `${server.url}/v1`;
}

const openai = (baseUrl: string, more: Partial<ModelConfig> = {}) =>
  openModel(
    "m",
    {
      kind: "openai",
      base_url: baseUrl,
      model: "x",
      headers: {},
      timeout: 2000,
      connect_timeout: 1000,
      retries: 0,
      deadline: 0,
      concurrency: 100,
      ...more,
    } as ModelConfig,
    parts,
  );

const codeOf = (answer: Promise<unknown>) =>
  answer.then(
    () => "answered",
    (error: { code: string }) => error.code,
  );

describe("the simulated model", () => {
  test("answers the same request the same way, and another seed or text differently", async () => {
    const config = await simulatedConfig("latency={ kind='lognormal', median='1s', sigma=1.0 }");
    const answer = (given: ChatRequest) => simulate(config, null, given, 0);
    expect(answer(request())).toEqual(answer(request()));
    expect(answer(request("hello", { seed: 2 })).message).not.toEqual(answer(request()).message);
    expect(answer(request("hallo")).durationMs).not.toBe(answer(request()).durationMs);
  });

  test("answers alike in process and behind its server", async () => {
    const inProcess = await openModel("m", await simulatedConfig(), parts);
    const served = await openai(await serveSimulated());
    const [here, there] = [
      await inProcess.chat(request(), patient),
      await served.chat(request(), patient),
    ];
    expect(there.message).toEqual(here.message);
    expect(there.usage).toEqual(here.usage);
  });

  test("writes replies by a template that sees the messages and draws by seed", async () => {
    const config = {
      ...(await simulatedConfig("with={ name = 'Ann' }")),
      replies: {
        text: "{{ settings.name }} heard {{ last.content }}{% if random() >= 0 %}!{% endif %}",
      },
    };
    const model = await openModel("m", config, parts);
    expect((await model.chat(request("you"), patient)).message.content).toBe("Ann heard you!");
  });

  test("cuts an answer at max_tokens and says so", async () => {
    const config = await simulatedConfig("output_tokens=500");
    const { message, finishReason, usage } = simulate(
      config,
      null,
      request("x", { sampling: { max_tokens: 5 } }),
      0,
    );
    expect(finishReason).toBe("length");
    expect(message.content).toHaveLength(20);
    expect(usage.completion_tokens).toBe(5);
  });

  test("answers a schema with an instance of it", async () => {
    const schema = {
      type: "object",
      properties: {
        score: { type: "integer", minimum: 1, maximum: 5 },
        tags: { type: "array", items: { enum: ["a", "b"] } },
      },
    };
    const { message } = simulate(await simulatedConfig(), null, request("x", { schema }), 0);
    const { score, tags } = JSON.parse(message.content ?? "");
    expect([1, 2, 3, 4, 5]).toContain(score);
    for (const tag of tags) expect(["a", "b"]).toContain(tag);
  });

  test("fails at the given rates, each try on its own", async () => {
    const config = await simulatedConfig("errors.rate_limited=0.2", "errors.lost=0.1");
    const failures = Array.from(
      { length: 5000 },
      (_, i) => simulate(config, null, request(String(i)), 0).failure,
    );
    expect(failures.filter((failure) => failure === "rate_limited").length / 5000).toBeCloseTo(
      0.2,
      1,
    );
    expect(failures.filter((failure) => failure === "lost").length / 5000).toBeCloseTo(0.1, 1);
    const tries = Array.from(
      { length: 50 },
      (_, tries) => simulate(config, null, request(), tries).failure,
    );
    expect(new Set(tries).size).toBeGreaterThan(1);
  });
});

describe("a distribution", () => {
  test("has the middle that its parameters say", () => {
    const random = createRandom(3);
    const median = (draw: () => number) =>
      Array.from({ length: 4001 }, draw).sort((a, b) => a - b)[2000] as number;
    const near = (value: number, wanted: number) =>
      expect(Math.abs(value / wanted - 1)).toBeLessThan(0.1);
    near(
      median(() => sample({ kind: "lognormal", median: 100, sigma: 1 }, random)),
      100,
    );
    near(
      median(() => sample({ kind: "uniform", min: 50, max: 150 }, random)),
      100,
    );
    near(
      median(() => sample({ kind: "exponential", mean: 100 }, random)),
      100 * Math.LN2,
    );
    near(
      median(() => sample({ kind: "normal", mean: 100, sigma: 10 }, random)),
      100,
    );
    near(
      median(() => sample({ kind: "pareto", min: 100, alpha: 2 }, random)),
      100 * Math.SQRT2,
    );
    expect(sample({ kind: "constant", value: 7 }, random)).toBe(7);
  });
});

describe("a failing endpoint", () => {
  const cases: readonly (readonly [title: string, settings: readonly string[], code: string])[] = [
    ["429", ["errors.rate_limited=1", "retry_after=10ms"], "model_overloaded"],
    ["500", ["errors.server_error=1"], "model_failed"],
    ["a body that is no JSON", ["errors.malformed=1"], "model_bad_answer"],
    ["a body that breaks off", ["errors.lost=1"], "model_lost"],
    ["an answer that takes too long", ["latency=1m"], "model_timeout"],
  ];
  for (const [title, settings, code] of cases) {
    test(`gives ${title} its own code: ${code}`, async () => {
      const model = await openai(await serveSimulated(...settings), { timeout: 200 });
      expect(await codeOf(model.chat(request(), patient))).toBe(code);
    });
  }

  test("that is not there is unavailable, and a wrong path is refused", async () => {
    expect(await codeOf((await openai("http://127.0.0.1:9/v1")).chat(request(), patient))).toBe(
      "model_unavailable",
    );
    const url = (await serveSimulated()).replace("/v1", "/v2");
    expect(await codeOf((await openai(url)).chat(request(), patient))).toBe(
      "model_refused_request",
    );
  });

  test("that answers 200 with something else is a bad answer", async () => {
    for (const body of [
      "{}",
      '{"choices":[]}',
      "null",
      '{"choices":[{"message":{"role":"assistant","content":""}}]}',
    ]) {
      const server = serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: () => new Response(body, { headers: { "content-type": "application/json" } }),
      });
      expect(await codeOf((await openai(`${server.url}/v1`)).chat(request(), patient))).toBe(
        "model_bad_answer",
      );
      await server.stop();
    }
  });

  test("that hangs up without a word went while it answered", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    expect(
      await codeOf((await openai(`http://127.0.0.1:${port}/v1`)).chat(request(), patient)),
    ).toBe("model_lost");
    server.close();
  });

  test("is asked again after what may pass, and the tries are counted", async () => {
    let calls = 0;
    const config = await simulatedConfig();
    const app = createModelServer({ name: "m", config, replies: null });
    const fetch = (given: Request) =>
      ++calls <= 3
        ? new Response("{}", {
            status: calls === 1 ? 429 : 503,
            headers: { "retry-after-ms": "1" },
          })
        : app.fetch(given);
    const server = serve({ hostname: "127.0.0.1", port: 0, fetch });
    closing.push(() => server.stop());
    const answer = await (await openai(`${server.url}/v1`, { deadline: 60_000 })).chat(
      request(),
      patient,
    );
    expect(answer.usage.requests).toBe(4);
  });

  test("is not asked again after a request that it refuses", async () => {
    let calls = 0;
    const server = serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => {
        calls++;
        return new Response('{"error":{"message":"no such model"}}', { status: 404 });
      },
    });
    closing.push(() => server.stop());
    const answer = (await openai(`${server.url}/v1`, { retries: 5 })).chat(request(), patient);
    await expect(answer).rejects.toMatchObject({
      code: "model_refused_request",
      message: expect.stringContaining("no such model"),
    });
    expect(calls).toBe(1);
  });
});

describe("a request", () => {
  test("carries messages, seed, sampling, tools and schema as the API has them, and the key in its header alone", async () => {
    let seen: { body: unknown; authorization: string | null } | null = null;
    const server = serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (given) => {
        seen = { body: await given.json(), authorization: given.headers.get("authorization") };
        return Response.json({
          choices: [
            {
              message: {
                role: "assistant",
                content: null,
                tool_calls: [
                  { id: "c", type: "function", function: { name: "f", arguments: '{"x": 1.0}' } },
                ],
                reasoning_content: "hm",
              },
              finish_reason: "tool_calls",
            },
          ],
          usage: { prompt_tokens: 3, completion_tokens: 4 },
        });
      },
    });
    closing.push(() => server.stop());
    const tool = { type: "function", function: { name: "f" } };
    const model = await openai(`${server.url}/v1`, { api_key: "k1" } as Partial<ModelConfig>);
    const { message, finishReason, usage } = await model.chat(
      request("hi", {
        sampling: { temperature: 0, stop: ["x"] },
        tools: [tool],
        schema: { type: "object" },
      }),
      patient,
    );
    expect(seen as unknown).toEqual({
      authorization: "Bearer k1",
      body: {
        model: "x",
        messages: [{ role: "user", content: "hi" }],
        seed: 1,
        temperature: 0,
        stop: ["x"],
        tools: [tool],
        response_format: {
          type: "json_schema",
          json_schema: { name: "answer", schema: { type: "object" }, strict: true },
        },
      },
    });
    expect(message).toMatchObject({
      content: null,
      reasoning_content: "hm",
      tool_calls: [{ function: { arguments: '{"x": 1.0}' } }],
    });
    expect({ finishReason, usage }).toEqual({
      finishReason: "tool_calls",
      usage: { requests: 1, prompt_tokens: 3, completion_tokens: 4 },
    });
  });

  test("ends at once with its signal, wherever it waits", async () => {
    const slow = await openModel(
      "m",
      await simulatedConfig("latency=1h", "timeout=2h", "concurrency=1"),
      parts,
    );
    const retrying = await openModel(
      "m",
      await simulatedConfig("errors.rate_limited=1", "retry_after=1h", "deadline=2h"),
      parts,
    );
    const remote = await openai(await serveSimulated("latency=1h", "timeout=2h"), {
      timeout: 3_600_000,
    });
    for (const models of [[slow, slow], [retrying], [remote]]) {
      const controller = new AbortController();
      const reason = new Error("stop");
      const answers = models.map((model) =>
        model.chat(request(), controller.signal).catch((error: unknown) => error),
      );
      await new Promise((resolve) => setImmediate(resolve));
      controller.abort(reason);
      for (const answer of await Promise.all(answers)) expect(answer).toBe(reason);
    }
  });

  test("waits for room when a model's concurrency is used up, ten thousand at a time", async () => {
    const model = await openModel(
      "m",
      await simulatedConfig("latency=1ms", "concurrency=500"),
      parts,
    );
    const answers = await Promise.all(
      Array.from({ length: 10_000 }, (_, i) => model.chat(request(String(i)), patient)),
    );
    expect(answers).toHaveLength(10_000);
  });

  test("has a cost by the price per million tokens", async () => {
    const model = await openModel(
      "m",
      await simulatedConfig("price={ prompt = 2.0, completion = 10.0 }"),
      parts,
    );
    expect(model.costOf({ requests: 1, prompt_tokens: 1000, completion_tokens: 100 })).toBe(0.003);
  });
});
