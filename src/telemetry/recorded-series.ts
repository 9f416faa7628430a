// The series of a recorder in the shape in which the SDK's readers take metrics of other sources.

import type { DataPoint, MetricData, MetricProducer } from "@opentelemetry/sdk-metrics";
import { RECORDED_METRICS, type RecordedName } from "./recorded-metrics.ts";
import { Counter, type Histogram, type Recorder, type Series } from "./recorder.ts";

type Sdk = typeof import("@opentelemetry/sdk-metrics");
type Api = typeof import("@opentelemetry/api");

export interface SeriesScope {
  readonly name: string;
  readonly version: string;
}

/** The SDK and its API are arguments, because they are loaded only where metrics are asked for. */
export async function createProducer(
  recorder: Recorder,
  scope: SeriesScope,
): Promise<MetricProducer> {
  const [sdk, api, { emptyResource }] = await Promise.all([
    import("@opentelemetry/sdk-metrics"),
    import("@opentelemetry/api"),
    import("@opentelemetry/resources"),
  ]);
  return {
    collect: async () => {
      const now = Date.now();
      const metrics = [...recorder.metrics].map(([name, series]) =>
        metricOf(sdk, api, name, [...series], recorder.startedAt, now),
      );
      // The reader replaces the resource by its own.
      const resource = emptyResource();
      return { resourceMetrics: { resource, scopeMetrics: [{ scope, metrics }] }, errors: [] };
    },
  };
}

function metricOf(
  { AggregationTemporality, DataPointType }: Sdk,
  { ValueType }: Api,
  name: RecordedName,
  series: readonly Series[],
  startedAt: number,
  now: number,
): MetricData {
  const { kind, unit, description } = RECORDED_METRICS[name];
  const shared = {
    descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  const times = { startTime: hrTime(startedAt), endTime: hrTime(now) };
  const points = <T>(read: (data: Series["data"]) => T): DataPoint<T>[] =>
    series.map(({ labels, data }) => ({ ...times, attributes: { ...labels }, value: read(data) }));
  if (kind === "counter")
    return {
      ...shared,
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: points((data) => (data instanceof Counter ? data.value : 0)),
    };
  return {
    ...shared,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: points((data) => {
      const { bounds, counts, sum, count } = data as Histogram;
      return { buckets: { boundaries: [...bounds], counts: [...counts] }, sum, count };
    }),
  };
}

function hrTime(epochMs: number): [seconds: number, nanoseconds: number] {
  return [Math.floor(epochMs / 1000), (epochMs % 1000) * 1_000_000];
}
