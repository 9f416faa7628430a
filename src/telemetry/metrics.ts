// Metrics as OpenTelemetry instruments: rendered for Prometheus when asked, pushed by OTLP when the usual OTEL_… variables say
// so. Whoever owns the numbers counts them; here they are only read, once a collection. Until then nothing is loaded.

import type { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import type { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { ATTRIBUTE, LABEL, METRIC } from "./names.ts";
import { createResource, type Environment, wantsOtlp } from "./otlp.ts";

/** Of one instrument; more are counted together. Roles and reasons stay far below. */
const SERIES_MAX = 1000;
const LAG_SAMPLE_MS = 100;
const LAG_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** The specification's defaults of OTEL_METRIC_EXPORT_INTERVAL and _TIMEOUT. */
const PUSH_INTERVAL_MS = 60_000;
const PUSH_TIMEOUT_MS = 30_000;

/** How a process stands. Counts only grow. */
export interface Observation {
  readonly roles: Iterable<{
    readonly name: string;
    readonly busy: number;
    readonly queued: number;
    readonly slots: number;
  }>;
  /** Null where no messages are held. */
  readonly broker: Readonly<
    Record<
      "held" | "sent" | "parked" | "redelivered" | "duplicates" | "refused" | "poisoned",
      number
    >
  > | null;
  /** By reason. */
  readonly refusedRequests: Readonly<Record<string, number>>;
  /** Of the driver; null elsewhere. */
  readonly tasks: Readonly<
    Record<"inFlight" | "ok" | "failed" | "lost" | "expected", number>
  > | null;
  readonly models: Iterable<{
    readonly model: string;
    readonly waiting: number;
    readonly replicas: Iterable<{
      readonly replica: string;
      readonly isUp: boolean;
      readonly inFlight: number;
      readonly window: number;
    }>;
  }>;
  readonly tokens: { readonly prompt: number; readonly completion: number };
}

export interface MetricsSource {
  readonly run: string;
  readonly host: string;
  readonly version: string;
}

export interface Metrics {
  /** In Prometheus' text format. */
  render(): Promise<string>;
  /** Pushes once more, where metrics are pushed. Never fails. */
  close(): Promise<void>;
}

type Meter = ReturnType<MeterProvider["getMeter"]>;
type ReadAll = Parameters<Meter["addBatchObservableCallback"]>[0];

export async function createMetrics(
  env: Environment,
  source: MetricsSource,
  observe: () => Observation,
): Promise<Metrics> {
  let started: Promise<Started> | null = null;
  const start = () => {
    started ??= startMetrics(env, source, observe);
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
      const { provider, stopSampling } = await started;
      stopSampling();
      await provider
        .shutdown()
        .catch((error: unknown) =>
          console.error(`warning: metrics could not be exported: ${error}`),
        );
    },
  };
}

interface Started {
  readonly provider: MeterProvider;
  readonly prometheus: PrometheusExporter;
  readonly serializer: PrometheusSerializer;
  readonly stopSampling: () => void;
}

async function startMetrics(
  env: Environment,
  { run, host, version }: MetricsSource,
  observe: () => Observation,
): Promise<Started> {
  const [{ MeterProvider }, { PrometheusExporter, PrometheusSerializer }, resource, push] =
    await Promise.all([
      import("@opentelemetry/sdk-metrics"),
      import("@opentelemetry/exporter-prometheus"),
      createResource(env, version, {
        "service.instance.id": host,
        [ATTRIBUTE.run]: run,
        [ATTRIBUTE.host]: host,
      }),
      wantsOtlp(env, "METRICS") ? createPush(env) : null,
    ]);
  const prometheus = new PrometheusExporter({ preventServerStart: true });
  const provider = new MeterProvider({
    resource,
    readers: push === null ? [prometheus] : [prometheus, push],
    views: [{ instrumentName: "*", aggregationCardinalityLimit: SERIES_MAX }],
  });
  const meter = provider.getMeter("matrix", version);
  addObserved(meter, observe);
  return {
    provider,
    prometheus,
    serializer: new PrometheusSerializer("", false, /^matrix\./, false, true),
    stopSampling: sampleLag(meter),
  };
}

async function createPush(env: Environment): Promise<MetricReader> {
  const [{ PeriodicExportingMetricReader }, { OTLPMetricExporter }] = await Promise.all([
    import("@opentelemetry/sdk-metrics"),
    import("@opentelemetry/exporter-metrics-otlp-http"),
  ]);
  const exportIntervalMillis = Number(env["OTEL_METRIC_EXPORT_INTERVAL"]) || PUSH_INTERVAL_MS;
  const timeoutMs = Number(env["OTEL_METRIC_EXPORT_TIMEOUT"]) || PUSH_TIMEOUT_MS;
  // The reader refuses a time-out that is longer than its interval.
  const exportTimeoutMillis = Math.min(timeoutMs, exportIntervalMillis);
  return new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter(),
    exportIntervalMillis,
    exportTimeoutMillis,
  });
}

/** All that is read off one observation. */
function addObserved(meter: Meter, observe: () => Observation): void {
  const observed: Parameters<Meter["addBatchObservableCallback"]>[1] = [];
  const gauge = (name: string, unit: string, description: string) => {
    const instrument = meter.createObservableGauge(name, { unit, description });
    observed.push(instrument);
    return instrument;
  };
  const counter = (name: string, unit: string, description: string) => {
    const instrument = meter.createObservableCounter(name, { unit, description });
    observed.push(instrument);
    return instrument;
  };
  const roleBusy = gauge(METRIC.roleBusy, "{step}", "Steps that run.");
  const roleQueued = gauge(METRIC.roleQueued, "{step}", "Steps that wait for a slot.");
  const roleSlots = gauge(METRIC.roleSlots, "{step}", "Steps that can run at once.");
  const messages = gauge(METRIC.messages, "{message}", "Messages in custody.");
  const redelivered = counter(
    METRIC.messagesRedelivered,
    "{message}",
    "Messages sent again because their host died.",
  );
  const duplicates = counter(
    METRIC.messagesDuplicate,
    "{message}",
    "Messages that had been seen before, and were dropped.",
  );
  const refused = counter(
    METRIC.messagesRefused,
    "{message}",
    "Messages refused because the host was full.",
  );
  const poisoned = counter(
    METRIC.messagesPoisoned,
    "{message}",
    "Tasks given up because hosts died with them.",
  );
  const requestsRefused = counter(
    METRIC.requestsRefused,
    "{request}",
    "Requests refused before anything in them was believed.",
  );
  const tasks = counter(METRIC.tasks, "{task}", "Tasks recorded.");
  const tasksInFlight = gauge(METRIC.tasksInFlight, "{task}", "Tasks admitted and not recorded.");
  const tasksExpected = gauge(
    METRIC.tasksExpected,
    "{task}",
    "Records that the finished run will have.",
  );
  const modelInFlight = gauge(METRIC.modelInFlight, "{request}", "Requests that a replica has.");
  const modelWindow = gauge(
    METRIC.modelWindow,
    "{request}",
    "Requests that a replica is given at once, found out by use.",
  );
  const modelUp = gauge(METRIC.modelUp, "1", "Whether a replica is there.");
  const modelWaiting = gauge(
    METRIC.modelWaiting,
    "{request}",
    "Requests that wait for a replica with room.",
  );
  const tokens = counter(METRIC.tokens, "{token}", "Tokens of models.");
  const memory = gauge(METRIC.memory, "By", "Resident memory.");

  const read: ReadAll = (result) => {
    const now = observe();
    for (const { name, busy, queued, slots } of now.roles) {
      const labels = { [LABEL.role]: name };
      result.observe(roleBusy, busy, labels);
      result.observe(roleQueued, queued, labels);
      result.observe(roleSlots, slots, labels);
    }
    if (now.broker !== null) {
      for (const state of ["held", "sent", "parked"] as const)
        result.observe(messages, now.broker[state], { [LABEL.state]: state });
      result.observe(redelivered, now.broker.redelivered);
      result.observe(duplicates, now.broker.duplicates);
      result.observe(refused, now.broker.refused);
      result.observe(poisoned, now.broker.poisoned);
    }
    for (const [reason, count] of Object.entries(now.refusedRequests))
      result.observe(requestsRefused, count, { [LABEL.reason]: reason });
    if (now.tasks !== null) {
      for (const status of ["ok", "failed", "lost"] as const)
        result.observe(tasks, now.tasks[status], { [LABEL.status]: status });
      result.observe(tasksInFlight, now.tasks.inFlight);
      result.observe(tasksExpected, now.tasks.expected);
    }
    for (const { model, waiting, replicas } of now.models) {
      result.observe(modelWaiting, waiting, { [LABEL.model]: model });
      for (const { replica, isUp, inFlight, window } of replicas) {
        const labels = { [LABEL.model]: model, [LABEL.replica]: replica };
        result.observe(modelInFlight, inFlight, labels);
        result.observe(modelWindow, window, labels);
        result.observe(modelUp, isUp ? 1 : 0, labels);
      }
    }
    result.observe(tokens, now.tokens.prompt, { [LABEL.type]: "input" });
    result.observe(tokens, now.tokens.completion, { [LABEL.type]: "output" });
    result.observe(memory, process.memoryUsage.rss());
  };
  meter.addBatchObservableCallback(read, observed);
}

/** By a timer of our own: of perf_hooks' monitor, Node.js adds its resolution and Deno sees no delay at all. Answers how to stop. */
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
