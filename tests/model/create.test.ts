// Models of each kind, from a recipe's table: what they are called and cost, what they ask again
// and what they do not, and what they report to the run.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { compileTemplate } from "../../src/agent/template.ts";
import type { MatrixError } from "../../src/error.ts";
import type { Answers, Journal, ModelContext } from "../../src/model/context.ts";
import type { ChatAnswer, ChatRequest, RejectedAnswer } from "../../src/model/contract.ts";
import { keepsJournal, simulatedError } from "../../src/model/create.ts";
import type { Failure } from "../../src/model/simulated.ts";
import { loadModel } from "../../src/recipe/load.ts";
import type { ModelConfig, SimulatedModelConfig } from "../../src/recipe/schema/model-schema.ts";
import { METRIC } from "../../src/telemetry/names.ts";
import { Recorder } from "../../src/telemetry/recorder.ts";
import { withFolder } from "../parts/folder.ts";
import { until } from "../parts/until.ts";
import { openaiConfig } from "./endpoint/config.ts";
import { answer, completion, TestEndpoint } from "./endpoint.ts";
import { openModel } from "./opened.ts";

const simulatedConfig = (...settings: string[]): Promise<SimulatedModelConfig> =>
  loadModel("m", {
    env: {},
    cwd: "/",
    overrides: ["latency=0ms", ...settings].map((setting) => `models.m.${setting}`),
  });
const loadTemplate = async (source: unknown, name: string) =>
  compileTemplate((source as { text: string }).text, name);

const request = (content = "hello", more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content }],
  seed: 1,
  sampling: {},
  origin: null,
  ...more,
});
const patient = new AbortController().signal;
const failure = (answering: Promise<unknown>) =>
  answering.then(
    () => expect.unreachable("it answered"),
    (thrown: unknown) => thrown as MatrixError,
  );

/** Answers that are kept under the id of the model and the first message. */
class TestAnswers implements Journal {
  readonly kept = new Map<string, ChatAnswer>();
  readonly found: string[] = [];
  #key = (model: string, { messages }: ChatRequest) => `${model}: ${messages[0]?.content}`;
  async find(model: string, given: ChatRequest) {
    this.found.push(this.#key(model, given));
    return this.kept.get(this.#key(model, given)) ?? null;
  }
  readonly dropped: string[] = [];
  findOrClaim(model: string, given: ChatRequest) {
    return this.find(model, given);
  }
  drop(model: string, given: ChatRequest) {
    this.dropped.push(this.#key(model, given));
  }
  async keep(model: string, given: ChatRequest, answered: ChatAnswer) {
    this.kept.set(this.#key(model, given), answered);
  }
}

test("a model has a name, an id for records, a label and a price", async () => {
  await withFolder(async (folder) => {
    const replies = join(folder, "script.jsonl");
    await writeFile(replies, "");
    const price = { prompt: 2, completion: 10 };
    const models: readonly (readonly [ModelConfig, string, boolean])[] = [
      [openaiConfig({ price }), "x", false],
      [{ ...(await simulatedConfig()), price }, "simulated:m", true],
      [
        {
          kind: "scripted",
          replies,
          latency: { kind: "constant", value: 0 },
          concurrency: 1,
          price,
        } as ModelConfig,
        "scripted:m",
        true,
      ],
    ];
    for (const [config, id, simulated] of models) {
      const model = await openModel("m", config);
      expect([model.name, model.id, model.simulated]).toEqual(["m", id, simulated]);
      expect(model.costOf({ requests: 1, prompt_tokens: 1000, completion_tokens: 100 })).toBe(
        0.003,
      );
      expect(model.replicas === null).toBe(config.kind !== "openai");
    }
  });
  const free = await openModel("m", await simulatedConfig());
  expect(free.costOf({ requests: 1, prompt_tokens: 1, completion_tokens: 1 })).toBeUndefined();
});

test("only the answers of endpoints are kept in the journal by default", async () => {
  const simulated = await simulatedConfig();
  expect(keepsJournal(openaiConfig())).toBe(true);
  expect(keepsJournal(openaiConfig({ journal: false }))).toBe(false);
  expect(keepsJournal(simulated)).toBe(false);
  expect(keepsJournal({ ...simulated, journal: true })).toBe(true);
});

test("an answer is spent once, and then comes from the journal or the cache", async () => {
  await using endpoint = await TestEndpoint.start();
  const [journal, cache] = [new TestAnswers(), new TestAnswers()];
  const spent: unknown[] = [];
  const parts: Partial<ModelContext> = {
    journal,
    cache,
    spend: (usage, cost) => void spent.push({ ...usage, cost }),
  };
  const price = { prompt: 1e6, completion: 3e6 };
  const model = await openModel("m", openaiConfig({ base_url: endpoint.url, price }), parts);
  const first = await model.chat(request(), patient);
  expect(first.usage).toEqual({ requests: 1, prompt_tokens: 1, completion_tokens: 1 });
  expect(first.cost).toBe(4);
  expect(journal.kept.get("x: hello")).toEqual(first);
  expect(cache.kept.get("x: hello")).toEqual(first);
  const second = await model.chat(request(), patient);
  expect(second).toEqual(first);
  expect(cache.found).toHaveLength(1);
  journal.kept.clear();
  const third = await model.chat(request(), patient);
  expect(third).toEqual({
    ...first,
    usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
    cost: 0,
  });
  expect(endpoint.asked).toHaveLength(1);
  expect(spent).toEqual([{ requests: 1, prompt_tokens: 1, completion_tokens: 1, cost: 4 }]);
});

test("answers that are no use are spent, told and kept in the journal with the one that is", async () => {
  const bodies = [
    completion({ usage: { prompt_tokens: 5, completion_tokens: 2 } }, { finish_reason: "error" }),
    "{}",
    completion({ usage: { cost: 0.5 } }, { message: { content: "" } }),
    completion({ usage: { prompt_tokens: 5, completion_tokens: 3 } }),
  ];
  let asked = 0;
  await using endpoint = await TestEndpoint.start((request) => {
    const body = bodies[asked++];
    return answer(body, body === "{}" ? 500 : 200)(request);
  });
  const [journal, cache] = [new TestAnswers(), new TestAnswers()];
  const spent: unknown[] = [];
  const settled: unknown[] = [];
  let taken = 0;
  const recorder = new Recorder();
  const parts: Partial<ModelContext> = {
    ...{ journal, cache, recorder },
    spend: (usage, cost) => void spent.push({ ...usage, cost }),
    permits: {
      take: async () => ++taken,
      settle: (...settling: unknown[]) => void settled.push(settling),
    },
  };
  const price = { prompt: 1e6, completion: 1e6 };
  const config = openaiConfig({ base_url: endpoint.url, price, retries: 3 });
  const model = await openModel("m", config, parts);
  const told: RejectedAnswer[] = [];
  const given = await model.chat(request(), patient, (one) => void told.push(one));
  const failed = { requests: 1, failed_requests: 1 };
  const bills = [
    { ...failed, prompt_tokens: 5, completion_tokens: 2, cost: 7 },
    { ...failed, prompt_tokens: 0, completion_tokens: 0, stated_cost: 0.5, cost: 0.5 },
    { requests: 2, prompt_tokens: 5, completion_tokens: 3, failed_requests: 1, cost: 8 },
  ];
  expect(spent).toEqual(bills);
  expect(told.map(({ usage, cost }) => ({ ...usage, cost }))).toEqual(bills.slice(0, 2));
  expect([{ ...given.usage, cost: given.cost }] as unknown).toEqual(bills.slice(2));
  expect(settled).toEqual([
    ["m", 1, 7],
    ["m", 4, 8],
  ]);
  const series = [...recorder.metrics].find(([name]) => name === METRIC.tokens)?.[1] ?? [];
  expect([...series].map(({ labels, data }) => [labels, "value" in data && data.value])).toEqual([
    [{ model: "m", type: "input" }, 10],
    [{ model: "m", type: "output" }, 5],
  ]);
  expect(given).not.toHaveProperty("rejected");
  expect(cache.kept.get("x: hello")).toEqual(given);
  expect(journal.kept.get("x: hello")).toEqual({ ...given, rejected: told });
  const again: RejectedAnswer[] = [];
  expect(await model.chat(request(), patient, (one) => void again.push(one))).toEqual(given);
  expect(again).toEqual(told);
  journal.kept.clear();
  const free: RejectedAnswer[] = [];
  const cached = await model.chat(request(), patient, (one) => void free.push(one));
  expect([cached.cost, free]).toEqual([0, []]);
  expect([endpoint.asked.length, spent.length]).toEqual([4, 3]);
});

test("a request that takes malformed messages gets an empty one after the last try, paid once", async () => {
  const usage = { prompt_tokens: 5, completion_tokens: 2 };
  await using endpoint = await TestEndpoint.start(
    answer(completion({ usage }, { message: { content: "" } })),
  );
  const [journal, spent, told] = [new TestAnswers(), [] as unknown[], [] as RejectedAnswer[]];
  const config = openaiConfig({ base_url: endpoint.url, retries: 1 });
  const model = await openModel("m", config, {
    journal,
    spend: (used) => void spent.push(used),
  });
  const takes = request("taken", { takesMalformed: true });
  const given = await model.chat(takes, patient, (one) => void told.push(one));
  expect(given).toEqual({
    message: { role: "assistant", content: null },
    finishReason: "stop",
    usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
  });
  expect(endpoint.asked).toHaveLength(2);
  const failed = { requests: 1, failed_requests: 1, ...usage };
  expect(told.map((one) => one.usage)).toEqual([failed, failed]);
  expect(spent).toEqual([failed, failed, given.usage]);
  expect(journal.kept.get("x: taken")).toEqual({ ...given, rejected: told });
  expect(endpoint.asked[0]?.body).not.toHaveProperty("takesMalformed");
  expect((await failure(model.chat(request(), patient))).code).toBe("model_bad_answer");
  expect(endpoint.asked).toHaveLength(4);
});

test("an empty message without tokens is a request of its answer", async () => {
  await using endpoint = await TestEndpoint.start(
    answer(JSON.stringify({ choices: [{ message: { content: null } }] })),
  );
  const model = await openModel("m", openaiConfig({ base_url: endpoint.url, retries: 1 }));
  const given = await model.chat(request("x", { takesMalformed: true }), patient);
  expect(given.usage).toEqual({
    requests: 2,
    failed_requests: 1,
    prompt_tokens: 0,
    completion_tokens: 0,
  });
});

test("another fault is an error also of a request that takes malformed messages", async () => {
  await using endpoint = await TestEndpoint.start(answer("{}"));
  const model = await openModel("m", openaiConfig({ base_url: endpoint.url, retries: 0 }));
  const failed = await failure(model.chat(request("x", { takesMalformed: true }), patient));
  expect(failed.code).toBe("model_bad_answer");
});

test("extra_body is sent below the sampling, and kept answers are found by both", async () => {
  await using endpoint = await TestEndpoint.start();
  const found: ChatRequest[] = [];
  const cache: Answers = {
    find: async (_, given) => {
      found.push(given);
      return null;
    },
    keep: async (_, given) => void found.push(given),
  };
  const extra_body = { provider: { order: ["a"] }, temperature: 1 };
  const model = await openModel("m", openaiConfig({ base_url: endpoint.url, extra_body }), {
    cache,
  });
  await model.chat(request("hello", { sampling: { temperature: 0 } }), patient);
  const sent = { provider: { order: ["a"] }, temperature: 0 };
  expect(endpoint.asked[0]).toMatchObject(sent);
  expect(found.map(({ sampling }) => sampling)).toEqual([sent, sent]);
});

test("a certificate that cannot be read is a problem of the recipe", async () => {
  const config = openaiConfig({ tls: { ca: "/nowhere/ca.pem" } });
  await expect(openModel("m", config)).rejects.toMatchObject({ code: "recipe_invalid" });
});

test("an answer from the journal keeps the cost of its time, and one from the cache costs nothing", async () => {
  await using endpoint = await TestEndpoint.start(
    answer(completion({ usage: { prompt_tokens: 5, completion_tokens: 5, cost: 0.25 } })),
  );
  const journal = new TestAnswers();
  const cache = new TestAnswers();
  const config = openaiConfig({ base_url: endpoint.url });
  const model = await openModel("m", config, { journal, cache });
  const first = await model.chat(request(), patient);
  expect([first.cost, first.usage.stated_cost]).toEqual([0.25, 0.25]);
  const price = { prompt: 7e6, completion: 7e6 };
  const dearer = await openModel("m", { ...config, price }, { journal, cache });
  expect((await dearer.chat(request(), patient)).cost).toBe(0.25);
  journal.kept.clear();
  expect(await dearer.chat(request(), patient)).toMatchObject({
    usage: { requests: 0, prompt_tokens: 0, completion_tokens: 0 },
    cost: 0,
  });
  // An answer that an older version kept has no cost of its own.
  const { cost: _, ...older } = first;
  const usage = { requests: 1, prompt_tokens: 1, completion_tokens: 1 };
  journal.kept.set("x: hello", { ...older, usage });
  expect((await dearer.chat(request(), patient)).cost).toBe(14);
  expect(endpoint.asked).toHaveLength(1);
});

test("a model without a price spends nothing but tokens", async () => {
  const spent: number[] = [];
  const parts = { spend: (_: unknown, cost: number) => void spent.push(cost) };
  await (await openModel("m", await simulatedConfig(), parts)).chat(request(), patient);
  expect(spent).toEqual([0]);
});

test("a simulated model uses no cache, and a journal only when the recipe asks", async () => {
  const [journal, cache] = [new TestAnswers(), new TestAnswers()];
  const config = await simulatedConfig();
  await (await openModel("m", config, { journal, cache })).chat(request(), patient);
  expect([journal.found, cache.found]).toEqual([[], []]);
  const kept = await openModel("m", { ...config, journal: true }, { journal, cache });
  await kept.chat(request(), patient);
  expect([journal.found, cache.found]).toEqual([["simulated:m: hello"], []]);
  expect(journal.kept.size).toBe(1);
});

test("tries are counted in the answer, failed ones included", async () => {
  let calls = 0;
  await using endpoint = await TestEndpoint.start((asked) =>
    answer(...((calls++ < 2 ? ["{}", 500] : []) as [string, number]))(asked),
  );
  const config = openaiConfig({ base_url: endpoint.url, retries: 2 });
  const { usage } = await (await openModel("m", config)).chat(request(), patient);
  expect(usage.requests).toBe(3);
});

test("retries and the deadline are those of the recipe", async () => {
  await using endpoint = await TestEndpoint.start(answer("{}", 500));
  const asked = async (config: Partial<ModelConfig>) => {
    endpoint.asked.length = 0;
    const full = { ...openaiConfig({ base_url: endpoint.url }), ...config } as ModelConfig;
    await failure((await openModel("m", full)).chat(request(), patient));
    return endpoint.asked.length;
  };
  expect(await asked({ retries: 0 })).toBe(1);
  expect(await asked({ retries: 1 })).toBe(2);
  expect(await asked({ retries: 5, deadline: 0 })).toBe(1);
});

test("each try takes a permit, and the last permit is settled with the tokens used", async () => {
  let calls = 0;
  await using endpoint = await TestEndpoint.start((asked) =>
    calls++ === 0
      ? answer("{}", 500)(asked)
      : answer(completion({ usage: { prompt_tokens: 30, completion_tokens: 12 } }))(asked),
  );
  const taken: number[] = [];
  const settled: unknown[] = [];
  const permits = {
    take: async (_: string, estimate: () => number) => {
      taken.push(estimate());
      return 100 + taken.length;
    },
    settle: (...settling: unknown[]) => void settled.push(settling),
  };
  const config = openaiConfig({ base_url: endpoint.url, retries: 1 });
  const model = await openModel("m", config, { permits });
  const sampling = { max_tokens: 50 };
  await model.chat(request("12345678", { sampling }), patient);
  expect(taken).toEqual([52, 52]);
  expect(settled).toEqual([["m", 102, 42]]);
  await model.chat(request("12345678", { sampling }), patient);
  expect(taken.at(-1)).toBe(2 + 12);
});

test("the tokens of an endpoint that counts none are estimated", async () => {
  await using endpoint = await TestEndpoint.start(answer(completion({ usage: null })));
  const settled: unknown[] = [];
  const permits = {
    take: async () => 7,
    settle: (...settling: unknown[]) => void settled.push(settling),
  };
  const model = await openModel("m", openaiConfig({ base_url: endpoint.url }), { permits });
  const { usage } = await model.chat(request(), patient);
  expect(usage).toEqual({
    requests: 1,
    prompt_tokens: 6,
    completion_tokens: 1,
    estimated_requests: 1,
  });
  expect(settled).toEqual([["m", 7, 7]]);
});

test("a simulated model has no more requests at once than its concurrency", async () => {
  let [running, most] = [0, 0];
  const permits = {
    take: async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return 0;
    },
    settle: () => undefined,
  };
  const model = await openModel("m", await simulatedConfig("concurrency=3"), { permits });
  await Promise.all(
    Array.from({ length: 20 }, (_, number) => model.chat(request(`${number}`), patient)),
  );
  expect(most).toBe(3);
});

test("replies are a template over the request, or the default export of a module", async () => {
  const config = await simulatedConfig("with={ name = 'Ann' }");
  const text =
    "{{ settings.name }} {{ last.content }} {{ seed }} {{ messages | length }}{% if random() < 1 %}!{% endif %}";
  const byTemplate = await openModel("m", { ...config, replies: { text } }, { loadTemplate });
  expect((await byTemplate.chat(request("you"), patient)).message.content).toBe("Ann you 1 1!");
  const loaded: string[] = [];
  const modules = (module: Record<string, unknown>) => ({
    loadModule: async (path: string) => {
      loaded.push(path);
      return module;
    },
  });
  const byModule = await openModel(
    "m",
    { ...config, replies: "a/replies.mts" },
    modules({ default: () => "from a module" }),
  );
  expect((await byModule.chat(request(), patient)).message.content).toBe("from a module");
  expect(loaded).toEqual(["a/replies.mts"]);
  await expect(
    openModel("m", { ...config, replies: "a.js" }, modules({ default: 5 })),
  ).rejects.toMatchObject({ code: "module_invalid", message: "a.js does not export replies" });
});

const PYTHON_REPLIES = `from matrix_agent import replies
@replies
def say(request, settings, random):
    asked = request["messages"][-1]["content"]
    if asked == "number":
        return 5
    if asked == "fail":
        raise ValueError("no answer")
    if asked == "call":
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        return {"tool_calls": [call]}
    return f"{settings['name']} {asked} {random.random()}"
`;

test("replies in Python are a function of request, settings and a seeded generator", () =>
  withFolder(async (folder) => {
    const replies = join(folder, "say.py");
    await writeFile(replies, PYTHON_REPLIES);
    const config = await simulatedConfig("with={ name = 'Ann' }");
    const model = await openModel("m", { ...config, replies }, {});
    const contentOf = async (text: string) => {
      const { message } = await model.chat(request(text), patient);
      return message.content;
    };
    const [first, again, other] = [
      await contentOf("a"),
      await contentOf("a"),
      await contentOf("b"),
    ];
    expect(first).toMatch(/^Ann a 0\.\d+$/);
    expect(again).toBe(first);
    expect(other?.slice("Ann b ".length)).not.toBe(first?.slice("Ann a ".length));
    const called = await model.chat(request("call"), patient);
    expect(called).toMatchObject({
      message: { role: "assistant", content: null, tool_calls: [{ id: "c" }] },
      finishReason: "tool_calls",
    });
    for (const [text, message] of [
      ["number", `${replies} returned 5; a reply is text or an assistant message`],
      ["fail", `${replies}: ValueError: no answer`],
    ] as const)
      await expect(model.chat(request(text), patient)).rejects.toMatchObject({
        ...{ code: "model_refused_request", message },
      });
  }));

const failures: readonly (readonly [Exclude<Failure, "context_length">, string, string])[] = [
  ["rate_limited", "model_overloaded", "the simulated model answered 429"],
  ["server_error", "model_failed", "the simulated model answered 500"],
  ["timeout", "model_timeout", "no answer from the simulated model within 5 ms"],
  ["stalled", "model_timeout", "no answer from the simulated model within 5 ms"],
  ["malformed", "model_bad_answer", "the answer of the simulated model is not JSON"],
  ["lost", "model_lost", "the answer of the simulated model broke off"],
];
for (const [name, code, message] of failures) {
  test(`a simulated ${name} fails as an endpoint would: ${code}`, async () => {
    const config = await simulatedConfig(`errors.${name}=1`, "timeout=5ms", "retry_after=7ms");
    expect(simulatedError(name, config)).toMatchObject({ code, message });
    expect(simulatedError(name, config).retryAfterMs).toBe(
      (name === "rate_limited" ? 7 : undefined) as number,
    );
    const model = await openModel("m", { ...config, retries: 0, deadline: 0 });
    expect(await failure(model.chat(request(), patient))).toMatchObject({ code, message });
  });
}

test("a simulated answer may take the time-out, and not a millisecond longer", async () => {
  const config = { ...(await simulatedConfig("timeout=5ms")), retries: 0 };
  const slow = { ...config, latency: { kind: "constant", value: 6 } } as const;
  expect((await failure((await openModel("m", slow)).chat(request(), patient))).code).toBe(
    "model_timeout",
  );
  const timely = { ...config, latency: { kind: "constant", value: 5 } } as const;
  expect((await (await openModel("m", timely)).chat(request(), patient)).finishReason).toBe("stop");
});

test("a simulated request that is too long is an outcome and is not tried again", async () => {
  const model = await openModel("m", await simulatedConfig("errors.context_length=1"));
  expect(await model.chat(request(), patient)).toEqual({
    message: {
      role: "assistant",
      content: null,
      error: "the request is longer than the simulated model's maximum context length",
    },
    finishReason: "context_length",
    usage: { requests: 1, prompt_tokens: 0, completion_tokens: 0 },
  });
});

test("a scripted model waits for its latency, and asks nothing twice", () =>
  withFolder(async (folder) => {
    const replies = join(folder, "script.jsonl");
    await writeFile(replies, '{"id": "a", "replies": {"r": ["A"]}}\n');
    const scripted = (value: number) =>
      openModel("m", {
        kind: "scripted",
        replies,
        latency: { kind: "constant", value },
        concurrency: 1,
      } as ModelConfig);
    const origin = { row: "a", trial: 0, attempt: 1, role: "r", turn: 0 };
    const said = await (await scripted(1)).chat(request("x", { origin }), patient);
    expect([said.message.content, said.usage.requests]).toEqual(["A", 1]);
    const missing = request("x", { origin: { ...origin, turn: 1 } });
    expect((await failure((await scripted(0)).chat(missing, patient))).code).toBe(
      "model_refused_request",
    );
    const controller = new AbortController();
    const waiting = failure(
      (await scripted(3_600_000)).chat(request("x", { origin }), controller.signal),
    );
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new Error("stop"));
    expect(await waiting).toMatchObject({ message: "stop" });
  }));

test("a signal ends a request in a queue, in an answer and in a pause", async () => {
  const reason = new Error("stop");
  const slow = await openModel(
    "m",
    await simulatedConfig("latency=1h", "timeout=2h", "concurrency=1"),
  );
  const retrying = await openModel(
    "m",
    await simulatedConfig("errors.rate_limited=1", "retry_after=1h", "deadline=2h"),
  );
  await using endpoint = await TestEndpoint.start(() => undefined);
  const remote = await openModel("m", openaiConfig({ base_url: endpoint.url }));
  for (const models of [[slow, slow], [retrying], [remote]]) {
    const controller = new AbortController();
    const answers = models.map((model) => failure(model.chat(request(), controller.signal)));
    if (models[0] === remote) await until(() => endpoint.inFlight === 1, "the request is there");
    else await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    for (const ended of await Promise.all(answers)) expect(ended as Error).toBe(reason);
  }
});

test("a request that fails, or that the cache answers, drops its claim, and an answer does not", async () => {
  await using endpoint = await TestEndpoint.start();
  const [journal, cache] = [new TestAnswers(), new TestAnswers()];
  const config = openaiConfig({ base_url: endpoint.url, retries: 0 });
  const model = await openModel("m", config, { journal, cache });
  await model.chat(request(), patient);
  expect(journal.dropped).toEqual([]);
  journal.kept.clear();
  await model.chat(request(), patient);
  expect(journal.dropped).toEqual(["x: hello"]);
  cache.kept.clear();
  await expect(model.chat(request(), AbortSignal.abort(new Error("over")))).rejects.toThrow();
  expect(journal.dropped).toEqual(["x: hello", "x: hello"]);
});
