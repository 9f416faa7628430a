// Metrics as Prometheus scrapes them and as a collector receives them: from source, from a compiled binary, and under Deno.

import { describe, expect, test } from "bun:test";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import type { Observation } from "../../src/telemetry/observed-metrics.ts";
import { parseSamples } from "./samples.ts";

const SOURCE = { run: "coral", host: "host-1", version: "1.2.3" };
const IDLE: Observation = {
  roles: [],
  broker: null,
  refusedRequests: {},
  tasks: null,
  models: [],
  tokens: { prompt: 0, completion: 0 },
};

describe("metrics", () => {
  test("of a host say nothing of tasks, which the driver counts", async () => {
    const metrics = await createMetrics({}, SOURCE, () => IDLE);
    const samples = parseSamples(await metrics.render());
    await metrics.close();
    expect([...samples.keys()].filter((name) => /task|messages|role/.test(name))).toEqual([]);
    expect(samples.get('matrix_tokens_total{type="input"}')).toBe(0);
  });

  test("are read afresh at each scrape, by several at once, and not at all before the first", async () => {
    let scrapes = 0;
    const observe = () => ({ ...IDLE, tokens: { prompt: ++scrapes, completion: 0 } });
    const metrics = await createMetrics({}, SOURCE, observe);
    expect(scrapes).toBe(0);
    const texts = await Promise.all([metrics.render(), metrics.render(), metrics.render()]);
    expect(scrapes).toBe(3);
    expect(
      texts.every((text) => (parseSamples(text).get('matrix_tokens_total{type="input"}') ?? 0) > 0),
    ).toBe(true);
    expect(parseSamples(await metrics.render()).get('matrix_tokens_total{type="input"}')).toBe(4);
    await metrics.close();
  });

  test("stay bounded, however many labels something makes up", async () => {
    const refusedRequests = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`reason-${i}`, 1]),
    );
    const metrics = await createMetrics({}, SOURCE, () => ({ ...IDLE, refusedRequests }));
    const text = await metrics.render();
    expect(
      text.split("\n").filter((line) => line.startsWith("matrix_requests_refused_total{")),
    ).toHaveLength(1000);
    await metrics.close();
  });

  test("are pushed only where the variables say so", async () => {
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" };
    for (const env of [
      {},
      { ...endpoint, OTEL_METRICS_EXPORTER: "none" },
      { ...endpoint, OTEL_SDK_DISABLED: "true" },
    ]) {
      let observed = 0;
      const metrics = await createMetrics(
        { ...env, OTEL_METRIC_EXPORT_INTERVAL: "1" },
        SOURCE,
        () => {
          observed++;
          return IDLE;
        },
      );
      await metrics.render();
      await metrics.close();
      expect(observed).toBe(1);
    }
  });
});
