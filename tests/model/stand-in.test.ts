// Stand-ins of a forecast: they answer at once what the model would, and count the time that it
// would take.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NO_RUN } from "../../src/model/context.ts";
import type { ChatRequest, Model } from "../../src/model/contract.ts";
import { countTime, planStandIn } from "../../src/model/stand-in.ts";
import { PythonFiles } from "../../src/python/files.ts";
import { loadModel } from "../../src/recipe/load.ts";
import type { ModelConfig, SimulatedModelConfig } from "../../src/recipe/schema/model-schema.ts";
import { withFolder } from "../parts/folder.ts";
import { openaiConfig } from "./endpoint/config.ts";
import { openModel } from "./opened.ts";

const patient = new AbortController().signal;
const loaders = {
  loadModule: async () => ({}),
  loadTemplate: async () => () => "",
  python: new PythonFiles(),
};
const simulatedConfig = (...settings: string[]): Promise<SimulatedModelConfig> =>
  loadModel("m", {
    env: {},
    cwd: "/",
    overrides: settings.map((setting) => `models.m.${setting}`),
  });
const request = (more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: "user", content: "hello" }],
  seed: 1,
  sampling: {},
  origin: null,
  ...more,
});
const standInFor = async (config: ModelConfig): Promise<Model> =>
  (await planStandIn("m", config, loaders)).open(NO_RUN);
/** The answer, or the error, and the time that it would have taken. */
const ask = (model: Model, more: Partial<ChatRequest> = {}) =>
  countTime(() => model.chat(request(more), patient).catch((thrown) => thrown));

test("a stand-in has the name, the id, the label and the price of its model", async () => {
  const price = { prompt: 1, completion: 2 };
  for (const config of [openaiConfig({ price }), { ...(await simulatedConfig()), price }]) {
    const [model, standIn] = [await openModel("m", config), await standInFor(config)];
    const described = ({ name, id, simulated, costOf }: Model) => ({
      name,
      id,
      simulated,
      cost: costOf({ requests: 1, prompt_tokens: 1e6, completion_tokens: 1e6 }),
    });
    expect(described(standIn)).toEqual(described(model));
    expect(described(standIn).cost).toBe(3);
    expect(standIn.replicas).toBeNull();
  }
});

test("time is counted for each act by itself, and outside of any act it is not", async () => {
  const model = await standInFor(await simulatedConfig("latency=100ms"));
  await model.chat(request(), patient);
  const [once, twice] = await Promise.all([
    countTime(() => model.chat(request(), patient)),
    countTime(async () => {
      await model.chat(request(), patient);
      await model.chat(request(), patient);
      return "both";
    }),
  ]);
  expect([once.ms, twice.ms, twice.value]).toEqual([100, 200, "both"]);
});

test("a simulated model's stand-in gives the same answers, at once", async () => {
  const config = await simulatedConfig("latency=1ms", "output_tokens=30");
  const real = await (await openModel("m", config)).chat(request(), patient);
  const { value, ms } = await ask(
    await standInFor({ ...config, latency: { kind: "constant", value: 3_600_000 }, timeout: 1e9 }),
  );
  expect(ms).toBe(3_600_000);
  expect(value.message.content.split(" ")).toHaveLength(
    real.message.content?.split(" ").length as number,
  );
  expect(await ask(await standInFor(config))).toEqual({ value: real, ms: 1 });
});

test("failed tries take half of the longest backoff, and are counted in the answer", async () => {
  const config = await simulatedConfig("latency=10ms", "errors.server_error=0.5", "retries=50");
  const standIn = await standInFor(config);
  const seen = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const { value, ms } = await ask(standIn, { seed });
    const tries = value.usage.requests;
    seen.add(tries);
    const pauses = Array.from({ length: tries - 1 }, (_, number) => 125 * 2 ** number);
    expect(ms).toBe(tries * 10 + pauses.reduce((sum, pause) => sum + pause, 0));
  }
  expect(seen.size).toBeGreaterThan(2);
});

test("a pause between tries is at most 15 seconds", async () => {
  const config = await simulatedConfig("latency=0ms", "errors.server_error=1", "retries=9");
  const { value, ms } = await ask(await standInFor(config));
  expect(value).toMatchObject({ code: "model_failed" });
  // 125 ms doubled six times is 8 s; the two pauses after it are 15 s each.
  expect(ms).toBe(125 * (2 ** 7 - 1) + 2 * 15_000);
});

test("a rate limit adds its Retry-After to the pause", async () => {
  const config = await simulatedConfig(
    "latency=0ms",
    "errors.rate_limited=1",
    "retry_after=3s",
    "retries=1",
  );
  const { value, ms } = await ask(await standInFor(config));
  expect([value.code, ms]).toEqual(["model_overloaded", 3125]);
});

test("an answer that would come too late takes the time-out, and fails as one", async () => {
  const config = { ...(await simulatedConfig("latency=10s", "timeout=2s")), retries: 0 };
  const { value, ms } = await ask(await standInFor(config));
  expect([value.code, ms]).toEqual(["model_timeout", 2000]);
  const stalled = {
    ...(await simulatedConfig("latency=1s", "timeout=2s", "errors.stalled=1")),
    retries: 0,
  };
  expect((await ask(await standInFor(stalled))).ms).toBe(2000);
  const timely = { ...config, timeout: 10_000 };
  expect((await ask(await standInFor(timely))).ms).toBe(10_000);
});

test("a stand-in answers a request that is too long with an outcome, after its latency", async () => {
  const config = await simulatedConfig("latency=10ms", "errors.context_length=1");
  const { value, ms } = await ask(await standInFor(config));
  expect([value.finishReason, ms]).toEqual(["context_length", 10]);
});

const tokensOf = async (config: ModelConfig, more: Partial<ChatRequest> = {}) => {
  const { value } = await ask(await standInFor(config), more);
  return { tokens: value.usage.completion_tokens, finishReason: value.finishReason };
};
const expecting = (output_tokens: number) =>
  openaiConfig({ expect: { output_tokens: { kind: "constant", value: output_tokens } } as never });

test("a stand-in says as many tokens as the recipe expects, up to the limit", async () => {
  expect(await tokensOf(expecting(40))).toEqual({ tokens: 40, finishReason: "stop" });
  expect(await tokensOf(expecting(0.2))).toEqual({ tokens: 1, finishReason: "stop" });
  expect(await tokensOf(expecting(40), { sampling: { max_tokens: 5 } })).toEqual({
    tokens: 5,
    finishReason: "length",
  });
});

test("an assumed length is between 1 and 512 tokens, and cuts no answer", async () => {
  const lengths: number[] = [];
  for (let seed = 0; seed < 50; seed++)
    lengths.push((await tokensOf(openaiConfig(), { seed })).tokens);
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(1);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(512);
  expect(Math.max(...lengths)).toBeGreaterThan(256);
  for (const limit of ["max_tokens", "max_completion_tokens"])
    for (let seed = 0; seed < 10; seed++) {
      const { tokens, finishReason } = await tokensOf(openaiConfig(), {
        seed,
        sampling: { [limit]: 3 },
      });
      expect(tokens).toBeLessThanOrEqual(3);
      expect(finishReason).toBe("stop");
    }
});

test("an endpoint's stand-in answers a schema with an instance of it", async () => {
  const { value } = await ask(await standInFor(openaiConfig()), { schema: { const: 5 } });
  expect(value.message.content).toBe("5");
});

test("a scripted model's stand-in says its script, and counts its latency", () =>
  withFolder(async (folder) => {
    const replies = join(folder, "script.jsonl");
    await writeFile(replies, '{"id": "a", "replies": {"r": ["A"]}}\n');
    const standIn = await standInFor({
      kind: "scripted",
      replies,
      latency: { kind: "constant", value: 60_000 },
      concurrency: 1,
    } as ModelConfig);
    const origin = { row: "a", trial: 0, attempt: 1, role: "r", turn: 0 };
    const { value, ms } = await ask(standIn, { origin });
    expect([value.message.content, ms]).toEqual(["A", 60_000]);
  }));
