// The environment that asks for an export, and what an export says of its process.

import { expect, test } from "bun:test";
import {
  checkOtlp,
  createMetricExporter,
  createResource,
  createSpanExporter,
  type Environment,
  wantsOtlp,
} from "../../src/telemetry/otlp.ts";

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://a" };
const cases: readonly (readonly [env: Environment, traces: boolean, metrics: boolean])[] = [
  [{}, false, false],
  [endpoint, true, true],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, false, false],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://a" }, true, false],
  [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://a" }, false, true],
  [{ OTEL_TRACES_EXPORTER: "otlp" }, true, false],
  [{ OTEL_METRICS_EXPORTER: "console, otlp" }, false, true],
  [{ ...endpoint, OTEL_TRACES_EXPORTER: "none" }, false, true],
  [{ ...endpoint, OTEL_TRACES_EXPORTER: "" }, true, true],
  [{ ...endpoint, OTEL_METRICS_EXPORTER: "prometheus" }, true, false],
  [{ ...endpoint, OTEL_SDK_DISABLED: "true" }, false, false],
  [{ ...endpoint, OTEL_SDK_DISABLED: "TRUE", OTEL_TRACES_EXPORTER: "otlp" }, false, false],
  [{ ...endpoint, OTEL_SDK_DISABLED: "false" }, true, true],
];
for (const [env, traces, metrics] of cases) {
  test(`${JSON.stringify(env)} asks for ${[traces && "traces", metrics && "metrics"].filter(Boolean).join(" and ") || "nothing"}`, () => {
    expect([wantsOtlp(env, "TRACES"), wantsOtlp(env, "METRICS")]).toEqual([traces, metrics]);
  });
}

test("a resource has the name of the service, its version and what else is given", async () => {
  const { attributes } = await createResource("1.2", { "matrix.run": "r" });
  expect(attributes).toEqual({
    "service.name": "matrix",
    "service.version": "1.2",
    "matrix.run": "r",
  });
  const within = async (variables: Readonly<Record<string, string>>) => {
    const before = { ...process.env };
    Object.assign(process.env, variables);
    try {
      return (await createResource("1.2", { "matrix.run": "r" })).attributes;
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name];
      Object.assign(process.env, before);
    }
  };
  expect((await within({ OTEL_SERVICE_NAME: "mine" }))["service.name"]).toBe("mine");
  const listed =
    "service.name=ours,service.version=9,deployment.environment.name=lab%20a,matrix.run=other";
  expect(await within({ OTEL_RESOURCE_ATTRIBUTES: listed })).toEqual({
    "service.name": "ours",
    "service.version": "9",
    "deployment.environment.name": "lab a",
    "matrix.run": "r",
  });
  const both = { OTEL_RESOURCE_ATTRIBUTES: listed, OTEL_SERVICE_NAME: "mine" };
  expect((await within(both))["service.name"]).toBe("mine");
});

test("a protocol that OTLP does not have is refused where an export is asked for, and the variable of one signal wins", () => {
  for (const protocol of ["http/json", "http/protobuf", "grpc", "", " grpc "])
    checkOtlp({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
  checkOtlp({ OTEL_EXPORTER_OTLP_PROTOCOL: "udp" });
  expect(() => checkOtlp({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "udp" })).toThrow(
    expect.objectContaining({
      code: "usage",
      message: 'OTEL_EXPORTER_OTLP_PROTOCOL is "udp", which is no protocol of OTLP',
      hint: "set it to http/json, http/protobuf or grpc",
    }),
  );
  const metrics = { OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "HTTP" };
  expect(() => checkOtlp({ ...endpoint, ...metrics })).toThrow(
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
  );
  checkOtlp({ ...endpoint, ...metrics, OTEL_METRICS_EXPORTER: "none" });
  const traces = { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc" };
  checkOtlp({
    OTEL_TRACES_EXPORTER: "otlp",
    ...traces,
    OTEL_EXPORTER_OTLP_PROTOCOL: "udp",
  });
});

test("each protocol has its exporters, and JSON by HTTP is the default", async () => {
  const packages = (protocol: Record<string, string>) => ({
    metrics: createMetricExporter(protocol),
    traces: createSpanExporter(protocol),
  });
  for (const [protocol, name] of [
    ["http/json", "http"],
    ["http/protobuf", "proto"],
    ["grpc", "grpc"],
  ] as const) {
    const load = async (signal: string): Promise<Record<string, new () => object>> => {
      const path = `@opentelemetry/exporter-${signal}-otlp-${name}`;
      return name === "grpc" ? require(path) : await import(path);
    };
    const { metrics, traces } = packages({ OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
    expect((await metrics).constructor).toBe(
      (await load("metrics"))["OTLPMetricExporter"] as never,
    );
    expect((await traces).constructor).toBe((await load("trace"))["OTLPTraceExporter"] as never);
  }
  const { metrics, traces } = packages({});
  const json = packages({ OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" });
  expect((await metrics).constructor).toBe((await json.metrics).constructor);
  expect((await traces).constructor).toBe((await json.traces).constructor);
});
