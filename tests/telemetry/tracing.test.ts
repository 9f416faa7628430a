// Spans of tasks and hops as a collector receives them.

import { expect, test } from "bun:test";
import { createTracing, type Tracing } from "../../src/telemetry/tracing.ts";
import { SECRET, withSecret } from "../parts/secret.ts";
import { attributesOf, withCollector } from "./collector.ts";

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Parameters<typeof attributesOf>[0]["attributes"];
  readonly status: { readonly code?: number; readonly message?: string };
}

/** The spans that a collector gets from the traced code, in the order in which they ended. */
async function spansOf(trace: (tracing: Tracing) => void) {
  return withCollector(async (env, pushes) => {
    const tracing = (await createTracing(env, "run-1", "1.2.3")) ?? expect.unreachable();
    trace(tracing);
    await tracing.close();
    expect(new Set(pushes.map(({ path }) => path))).toEqual(
      new Set(pushes.length === 0 ? [] : ["/v1/traces"]),
    );
    const resources = pushes.flatMap(({ body }) => body["resourceSpans"] as never[]) as {
      resource: Parameters<typeof attributesOf>[0];
      scopeSpans: { scope: { name: string; version: string }; spans: OtlpSpan[] }[];
    }[];
    const scopes = resources.flatMap(({ scopeSpans }) => scopeSpans);
    return { resources, scopes, spans: scopes.flatMap(({ spans }) => spans) };
  });
}

const HOP = {
  role: "teacher",
  host: "host-1",
  hop: 2,
  queuedAt: 1_000_000,
  startedAt: 1_000_250,
  endedAt: 1_002_000,
};
const TASK = {
  rowId: "7",
  trial: 1,
  status: "ok",
  stopReason: "agreed",
  startedAt: 900_000,
  endedAt: 1_003_000,
};
const nano = (ms: number) => `${ms}000000`;

test("a task's span is the root of its trace, under the ids of its traceparent", async () => {
  let traceparent = "";
  const { spans, resources, scopes } = await spansOf((tracing) => {
    traceparent = tracing.startTask();
    tracing.endTask(traceparent, TASK);
  });
  expect(traceparent).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
  const [, traceId = "", spanId = ""] = traceparent.split("-");
  expect(spans).toHaveLength(1);
  const [span = expect.unreachable()] = spans;
  expect([span.traceId, span.spanId, span.parentSpanId ?? "", span.name]).toEqual([
    traceId,
    spanId,
    "",
    "matrix.task",
  ]);
  expect([span.startTimeUnixNano, span.endTimeUnixNano]).toEqual([nano(900_000), nano(1_003_000)]);
  expect(attributesOf(span)).toEqual({
    "matrix.row.id": "7",
    "matrix.trial": 1,
    "matrix.status": "ok",
    "matrix.stop_reason": "agreed",
  });
  expect(span.status.code ?? 0).toBe(0);
  expect(attributesOf(resources[0]?.resource ?? expect.unreachable())).toMatchObject({
    "service.name": "matrix",
    "service.version": "1.2.3",
    "matrix.run": "run-1",
  });
  expect(scopes[0]?.scope).toMatchObject({ name: "matrix", version: "1.2.3" });
});

test("a hop of a model is a client's span below the task, with model and usage", async () => {
  let traceparent = "";
  const { spans } = await spansOf((tracing) => {
    traceparent = tracing.startTask();
    const usage = { requests: 1, prompt_tokens: 30, completion_tokens: 12 };
    tracing.hop(traceparent, { ...HOP, model: "gpt", usage });
  });
  const [, traceId, parentId] = traceparent.split("-");
  const [span = expect.unreachable()] = spans;
  expect([span.traceId, span.parentSpanId, span.name, span.kind]).toEqual([
    traceId as string,
    parentId as string,
    "chat gpt",
    3,
  ]);
  expect(span.spanId).not.toBe(parentId);
  expect([span.startTimeUnixNano, span.endTimeUnixNano]).toEqual([
    nano(1_000_250),
    nano(1_002_000),
  ]);
  expect(attributesOf(span)).toEqual({
    "gen_ai.operation.name": "chat",
    "gen_ai.agent.name": "teacher",
    "matrix.hop": 2,
    "matrix.host": "host-1",
    "matrix.queue_ms": 250,
    "gen_ai.request.model": "gpt",
    "gen_ai.usage.input_tokens": 30,
    "gen_ai.usage.output_tokens": 12,
  });
});

test("a hop of a model says who answered and what it used, by the conventions", async () => {
  const { spans } = await spansOf((tracing) => {
    const usage = {
      ...{ requests: 1, prompt_tokens: 30, completion_tokens: 12 },
      ...{ cached_tokens: 20, cache_write_tokens: 5, reasoning_tokens: 7 },
    };
    const asked = {
      finishReasons: ["tool_calls"],
      responseModel: "gpt-2026",
      server: { address: "api.example.org", port: 443 },
    };
    tracing.hop(tracing.startTask(), { ...HOP, model: "gpt", provider: "openai", asked, usage });
  });
  const [span = expect.unreachable()] = spans;
  expect(attributesOf(span)).toMatchObject({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt",
    "gen_ai.response.model": "gpt-2026",
    "gen_ai.usage.input_tokens": 30,
    "gen_ai.usage.output_tokens": 12,
    "gen_ai.usage.cache_read.input_tokens": 20,
    "gen_ai.usage.cache_creation.input_tokens": 5,
    "gen_ai.usage.reasoning.output_tokens": 7,
    "server.address": "api.example.org",
    "server.port": 443,
  });
  const reasons = span.attributes.find(({ key }) => key === "gen_ai.response.finish_reasons");
  expect(reasons?.value).toEqual({ arrayValue: { values: [{ stringValue: "tool_calls" }] } });
});

test("a hop without a model is an internal span of its role", async () => {
  const { spans } = await spansOf((tracing) => tracing.hop(tracing.startTask(), HOP));
  const [span = expect.unreachable()] = spans;
  expect([span.name, span.kind]).toEqual(["invoke_agent teacher", 1]);
  expect(attributesOf(span)).toEqual({
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "teacher",
    "matrix.hop": 2,
    "matrix.host": "host-1",
    "matrix.queue_ms": 250,
  });
});

test("an error is in the span's attributes and its status, for hops and for tasks", async () => {
  const { spans } = await spansOf((tracing) => {
    const traceparent = tracing.startTask();
    tracing.hop(traceparent, { ...HOP, error: "model_lost" });
    tracing.endTask(traceparent, { ...TASK, error: "model_lost" });
  });
  expect(spans).toHaveLength(2);
  for (const span of spans) {
    expect(span.status).toEqual({ code: 2, message: "model_lost" });
    expect(attributesOf(span)["error.type"]).toBe("model_lost");
  }
});

test("each task has its own trace, and its hops have their own spans", async () => {
  const { spans } = await spansOf((tracing) => {
    for (const _ of [1, 2]) {
      const traceparent = tracing.startTask();
      tracing.hop(traceparent, HOP);
      tracing.hop(traceparent, { ...HOP, hop: 3 });
      tracing.endTask(traceparent, TASK);
    }
  });
  expect(spans).toHaveLength(6);
  expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(2);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(6);
});

test("a task that is not sampled sends nothing", async () => {
  const { spans } = await spansOf((tracing) => {
    const traceparent = tracing.startTask().replace(/1$/, "0");
    tracing.hop(traceparent, HOP);
    tracing.endTask(traceparent, TASK);
    tracing.hop("", HOP);
    tracing.endTask("nonsense", TASK);
  });
  expect(spans).toEqual([]);
});

test("the sampled flag is the last bit of the flags", async () => {
  const { spans } = await spansOf((tracing) => {
    const traceparent = tracing.startTask();
    tracing.hop(traceparent.replace(/01$/, "03"), HOP);
    tracing.hop(traceparent.replace(/01$/, "02"), { ...HOP, hop: 9 });
  });
  expect(spans.map((span) => attributesOf(span)["matrix.hop"])).toEqual([2]);
});

test("without a wish for traces there is no tracing", async () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" };
  for (const env of [
    {},
    { ...endpoint, OTEL_SDK_DISABLED: "true" },
    { ...endpoint, OTEL_TRACES_EXPORTER: "none" },
  ])
    expect(await createTracing(env, "run", "0")).toBeNull();
});

test("known secrets are masked in the attributes of spans", () =>
  withSecret(async () => {
    const server = { address: `${SECRET}.host`, port: 1 };
    const asked = { finishReasons: [SECRET], responseModel: `x ${SECRET}`, server };
    const { spans } = await spansOf((tracing) => {
      const traceparent = tracing.startTask();
      tracing.hop(traceparent, { ...HOP, model: SECRET, asked });
      tracing.endTask(traceparent, { ...TASK, rowId: `row ${SECRET}` });
    });
    const text = JSON.stringify(spans);
    expect(text).not.toContain(SECRET);
    for (const masked of ["[KNOWN].host", '"[KNOWN]"', "x [KNOWN]", "row [KNOWN]"])
      expect(text).toContain(masked);
  }));
