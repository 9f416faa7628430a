// The metrics of a model: its tries with what came of them, and what its answers used.

import { expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import type { ChatRequest } from "../../src/model/contract.ts";
import { metered, recordSpent } from "../../src/model/metered.ts";
import { METRIC } from "../../src/telemetry/names.ts";
import { Recorder } from "../../src/telemetry/recorder.ts";
import { openaiConfig } from "./endpoint/config.ts";
import { answer, completion, TestEndpoint } from "./endpoint.ts";
import { openModel } from "./opened.ts";

const request: ChatRequest = {
  messages: [{ role: "user", content: "hello" }],
  seed: 1,
  sampling: {},
  origin: null,
};
const patient = new AbortController().signal;
const MODEL = { name: "m", id: "x", provider: "openai" };

function seriesOf(recorder: Recorder, wanted: string) {
  for (const [name, series] of recorder.metrics)
    if (name === wanted)
      return [...series].map(({ labels, data }) => [
        labels,
        "value" in data ? data.value : data.count,
      ]);
  return [];
}

test("each try is counted by its code and timed, with who answered", async () => {
  await using endpoint = await TestEndpoint.start();
  let tries = 0;
  endpoint.behaviour = (asked) =>
    (tries++ === 0 ? answer({}, 500) : answer(completion({ model: "x-2026" })))(asked);
  const recorder = new Recorder();
  const config = openaiConfig({ base_url: endpoint.url, retries: 1 });
  const model = await openModel("m", config, { recorder });
  await model.chat(request, patient);
  expect(seriesOf(recorder, METRIC.modelRequests)).toEqual([
    [{ model: "m", code: "model_failed" }, 1],
    [{ model: "m", code: "ok" }, 1],
  ]);
  const operation = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "x",
  };
  const server = { "server.address": "127.0.0.1", "server.port": endpoint.port };
  const answered = { ...operation, "gen_ai.response.model": "x-2026", ...server };
  expect(seriesOf(recorder, METRIC.operationDuration)).toEqual([
    [{ ...operation, "error.type": "model_failed" }, 1],
    [answered, 1],
  ]);
  expect(seriesOf(recorder, METRIC.tokenUsage)).toEqual([
    [{ ...answered, "gen_ai.token.type": "input" }, 1],
    [{ ...answered, "gen_ai.token.type": "output" }, 1],
  ]);
});

test("tokens are counted by kind, each once, and money where it is spent", () => {
  const recorder = new Recorder();
  const usage = {
    requests: 1,
    prompt_tokens: 1000,
    completion_tokens: 100,
    cached_tokens: 600,
    cache_write_tokens: 300,
    reasoning_tokens: 40,
  };
  const given = { message: { role: "assistant", content: "a" }, finishReason: "stop" } as const;
  recordSpent(recorder, MODEL, { ...given, usage, cost: 0.25 });
  const plain = { requests: 1, prompt_tokens: 10, completion_tokens: 1 };
  recordSpent(recorder, MODEL, { ...given, usage: plain });
  expect(seriesOf(recorder, METRIC.tokens)).toEqual([
    [{ model: "m", type: "input" }, 110],
    [{ model: "m", type: "cached" }, 600],
    [{ model: "m", type: "cache_write" }, 300],
    [{ model: "m", type: "output" }, 61],
    [{ model: "m", type: "reasoning" }, 40],
  ]);
  expect(seriesOf(recorder, METRIC.cost)).toEqual([[{ model: "m" }, 0.25]]);
});

test("the time of a try begins when its request may be sent, and a try that was given up is not counted", async () => {
  const recorder = new Recorder();
  const controller = new AbortController();
  const tried = metered(
    async (_, { permit }) => {
      await permit();
      throw new MatrixError("model_lost", "gone");
    },
    MODEL,
    recorder,
  );
  const trying = (signal: AbortSignal) => ({
    tries: 0,
    deadline: 0,
    signal,
    permit: () => new Promise<void>((resolve) => setTimeout(resolve, 30)),
    onRejected: () => undefined,
  });
  await tried(request, trying(patient)).catch(() => undefined);
  const [[, series] = expect.unreachable()] = [...recorder.metrics].filter(
    ([name]) => name === METRIC.operationDuration,
  );
  const [{ data } = expect.unreachable()] = series;
  expect("sum" in data ? data.sum : 1).toBeLessThan(0.03);
  controller.abort();
  await tried(request, trying(controller.signal)).catch(() => undefined);
  expect(seriesOf(recorder, METRIC.modelRequests)).toEqual([
    [{ model: "m", code: "model_lost" }, 1],
  ]);
});
