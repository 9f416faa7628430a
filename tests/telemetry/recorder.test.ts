// Counters and histograms that a process keeps from its beginning.

import { expect, test } from "bun:test";
import { METRIC } from "../../src/telemetry/names.ts";
import { RECORDED_METRICS } from "../../src/telemetry/recorded-metrics.ts";
import { Histogram, Recorder } from "../../src/telemetry/recorder.ts";

test("a value at a bound is in the bucket that ends there", () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0, 1, 1.001, 2, 5, 5.001, 100]) histogram.record(value);
  expect(histogram.counts).toEqual([2, 2, 1, 2]);
  expect([histogram.count, histogram.sum]).toEqual([7, 114.002]);
});

test("the same labels are one series, and others are another", () => {
  const recorder = new Recorder();
  recorder.counter(METRIC.tokens, { model: "a", type: "input" }).add(5);
  recorder.counter(METRIC.tokens, { model: "a", type: "input" }).add(2);
  recorder.counter(METRIC.tokens, { model: "b", type: "input" }).add(1);
  recorder.histogram(METRIC.hopQueue, { role: "a" }).record(3);
  const read = [...recorder.metrics].map(([name, series]) => [
    name,
    [...series].map(({ labels, data }) => [labels, "value" in data ? data.value : data.sum]),
  ]);
  expect(read).toEqual([
    [
      METRIC.tokens,
      [
        [{ model: "a", type: "input" }, 7],
        [{ model: "b", type: "input" }, 1],
      ],
    ],
    [METRIC.hopQueue, [[{ role: "a" }, 3]]],
  ]);
});

test("a metric has a thousand series, and one more for all further labels", () => {
  const recorder = new Recorder();
  for (let number = 0; number < 1003; number++)
    recorder.counter(METRIC.cost, { model: `m${number}` }).add(1);
  const [[, series] = expect.unreachable()] = recorder.metrics;
  const all = [...series];
  expect(all).toHaveLength(1001);
  expect(all.at(-1)).toMatchObject({
    labels: { "otel.metric.overflow": "true" },
    data: { value: 3 },
  });
  recorder.counter(METRIC.cost, { model: "m0" }).add(1);
  expect(all[0]?.data).toMatchObject({ value: 2 });
});

test("durations and tokens have the buckets of the conventions, and steps and tasks those up to an hour", () => {
  const bounds = (name: keyof typeof RECORDED_METRICS) => {
    const metric = RECORDED_METRICS[name];
    return metric.kind === "histogram" ? metric.bounds.join(" ") : "";
  };
  expect(bounds(METRIC.operationDuration)).toBe(
    "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92",
  );
  expect(bounds(METRIC.tokenUsage)).toBe(
    "1 4 16 64 256 1024 4096 16384 65536 262144 1048576 4194304 16777216 67108864",
  );
  for (const name of [METRIC.hopDuration, METRIC.hopQueue, METRIC.taskDuration])
    expect(bounds(name)).toBe(
      "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 120 300 600 1800 3600",
    );
});

test("series whose labels have equal values under other names are told apart", () => {
  const recorder = new Recorder();
  recorder.counter(METRIC.cost, { model: "a" }).add(1);
  expect(recorder.counter(METRIC.cost, { type: "a" }).value).toBe(0);
  recorder.counter(METRIC.cost, { model: "ab", type: "c" }).add(1);
  expect(recorder.counter(METRIC.cost, { model: "a", type: "bc" }).value).toBe(0);
});
