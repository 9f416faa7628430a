// The environment that asks for an export, and what an export says of its process.

import { expect, test } from "bun:test";
import { createResource, type Environment, wantsOtlp } from "../../src/telemetry/otlp.ts";

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
  const { attributes } = await createResource({}, "1.2", { "matrix.run": "r" });
  expect(attributes).toEqual({
    "service.name": "matrix",
    "service.version": "1.2",
    "matrix.run": "r",
  });
  const named = await createResource({ OTEL_SERVICE_NAME: "mine" }, "1.2", {});
  expect(named.attributes["service.name"]).toBe("mine");
});
