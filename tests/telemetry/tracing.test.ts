// Traces as a collector receives them: one trace per task, a span per hop under the task's own, names as OpenTelemetry has them.

import { describe, expect, test } from "bun:test";
import { createTracing } from "../../src/telemetry/tracing.ts";

describe("traces", () => {
  test("are not even prepared when nothing asks for them", async () => {
    expect(await createTracing({}, "run", "0")).toBeNull();
    expect(
      await createTracing(
        { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", OTEL_SDK_DISABLED: "true" },
        "run",
        "0",
      ),
    ).toBeNull();
    expect(
      await createTracing(
        { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", OTEL_TRACES_EXPORTER: "none" },
        "run",
        "0",
      ),
    ).toBeNull();
  });
});
