// Metrics as OpenTelemetry instruments: rendered for Prometheus at each scrape, and pushed by OTLP
// when the usual OTEL_… variables ask for it. The SDK is loaded at the first scrape, or at once
// when metrics are pushed.

import type { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import type { MeterProvider, MetricProducer, MetricReader } from "@opentelemetry/sdk-metrics";
import { ATTRIBUTE, METRIC } from "./names.ts";
import { OBSERVED_METRICS, type Observation } from "./observed-metrics.ts";
import { createMetricExporter, createResource, type Environment, wantsOtlp } from "./otlp.ts";
import { WatchedExport } from "./patient-export.ts";
import { createProducer } from "./recorded-series.ts";
import { Recorder } from "./recorder.ts";

/**
 * Series of one instrument; the SDK counts any more of them together. Roles and reasons stay far
 * below.
 */
const SERIES_MAX = 1000;
const LAG_SAMPLE_MS = 100;
const LAG_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Defaults of OTEL_METRIC_EXPORT_INTERVAL and OTEL_METRIC_EXPORT_TIMEOUT in the specification. */
const PUSH_INTERVAL_MS = 60_000;
const PUSH_TIMEOUT_MS = 30_000;

export interface MetricsSource {
  readonly run: string;
  readonly host: string;
  readonly version: string;
}

export interface Metrics {
  /** Collects once and returns Prometheus' text format. */
  render(): Promise<string>;
  /** Pushes a last time when metrics are pushed. Never fails. */
  close(): Promise<void>;
}

type Meter = ReturnType<MeterProvider["getMeter"]>;

export async function createMetrics(
  env: Environment,
  source: MetricsSource,
  observe: () => Observation,
  recorder = new Recorder(),
): Promise<Metrics> {
  let started: Promise<Started> | null = null;
  const start = () => {
    started ??= startMetrics(env, source, observe, recorder);
    return started;
  };
  if (wantsOtlp(env, "METRICS")) await start();
  return {
    render: async () => {
      const { prometheus, serializer } = await start();
      return serializer.serialize((await prometheus.collect()).resourceMetrics);
    },
    close: async () => {
      if (started === null) return;
      const { provider, pushed, stopSampling } = await started;
      stopSampling();
      await pushed.close(() => provider.shutdown());
    },
  };
}

interface Started {
  readonly provider: MeterProvider;
  readonly prometheus: PrometheusExporter;
  readonly serializer: PrometheusSerializer;
  readonly pushed: WatchedExport;
  readonly stopSampling: () => void;
}

async function startMetrics(
  env: Environment,
  { run, host, version }: MetricsSource,
  observe: () => Observation,
  recorder: Recorder,
): Promise<Started> {
  const pushed = new WatchedExport("metrics");
  const described = {
    "service.instance.id": host,
    [ATTRIBUTE.run]: run,
    [ATTRIBUTE.host]: host,
  };
  const [{ MeterProvider }, { PrometheusExporter, PrometheusSerializer }, resource, producer] =
    await Promise.all([
      import("@opentelemetry/sdk-metrics"),
      import("@opentelemetry/exporter-prometheus"),
      createResource(version, described),
      createProducer(recorder, { name: "matrix", version }),
    ]);
  const push = wantsOtlp(env, "METRICS") ? await createPush(env, pushed, producer) : null;
  const prometheus = new PrometheusExporter({
    preventServerStart: true,
    metricProducers: [producer],
  });
  const provider = new MeterProvider({
    resource,
    readers: push === null ? [prometheus] : [prometheus, push],
    views: [{ instrumentName: "*", aggregationCardinalityLimit: SERIES_MAX }],
  });
  const meter = provider.getMeter("matrix", version);
  addObservedMetrics(meter, observe);
  return {
    provider,
    prometheus,
    pushed,
    serializer: new PrometheusSerializer("", false, /^matrix\./, false, true),
    stopSampling: sampleLag(meter),
  };
}

async function createPush(
  env: Environment,
  pushed: WatchedExport,
  producer: MetricProducer,
): Promise<MetricReader> {
  const [{ PeriodicExportingMetricReader }, exporter] = await Promise.all([
    import("@opentelemetry/sdk-metrics"),
    createMetricExporter(env),
  ]);
  const exportIntervalMillis = Number(env["OTEL_METRIC_EXPORT_INTERVAL"]) || PUSH_INTERVAL_MS;
  const timeoutMs = Number(env["OTEL_METRIC_EXPORT_TIMEOUT"]) || PUSH_TIMEOUT_MS;
  // The reader refuses a time-out that is longer than its interval.
  const exportTimeoutMillis = Math.min(timeoutMs, exportIntervalMillis);
  return new PeriodicExportingMetricReader({
    exporter: pushed.watch(exporter),
    metricProducers: [producer],
    exportIntervalMillis,
    exportTimeoutMillis,
  });
}

/** Creates the instruments. Each collection makes one observation and reads all metrics off it. */
function addObservedMetrics(meter: Meter, observe: () => Observation): void {
  const instruments = Object.entries(OBSERVED_METRICS).map(([name, metric]) => {
    const { kind, unit, description, read } = metric;
    const instrument =
      kind === "gauge"
        ? meter.createObservableGauge(name, { unit, description })
        : meter.createObservableCounter(name, { unit, description });
    return { instrument, read };
  });
  meter.addBatchObservableCallback(
    (result) => {
      const observation = observe();
      for (const { instrument, read } of instruments)
        read(observation, (value, labels) => result.observe(instrument, value, labels));
    },
    instruments.map(({ instrument }) => instrument),
  );
}

/**
 * Samples how late timers fire, and returns a function that stops it. The monitor of perf_hooks
 * does not serve: Node.js adds its resolution to each delay, and Deno sees no delay at all.
 */
function sampleLag(meter: Meter): () => void {
  const lag = meter.createHistogram(METRIC.eventLoopLag, {
    unit: "s",
    description: "How late timers fire.",
    advice: { explicitBucketBoundaries: LAG_BUCKETS_S },
  });
  let due = performance.now() + LAG_SAMPLE_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    lag.record(Math.max(0, now - due) / 1000);
    due = now + LAG_SAMPLE_MS;
  }, LAG_SAMPLE_MS);
  timer.unref();
  return () => clearInterval(timer);
}
