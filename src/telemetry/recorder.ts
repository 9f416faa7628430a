// Counters and histograms of a process, kept from its beginning without the SDK. Events are
// recorded where they happen, and the SDK gets the series when a reader asks for them.

import { RECORDED_METRICS, type RecordedName } from "./recorded-metrics.ts";

export type Labels = Readonly<Record<string, string | number>>;

/**
 * Series of one metric. The labels of any more are replaced by one that says so, as in
 * OpenTelemetry's SDK.
 */
const SERIES_MAX = 1000;
const OVERFLOW: Labels = { "otel.metric.overflow": "true" };

export class Histogram {
  /** Upper bounds of the buckets, in order. A value at a bound is in the bucket below it. */
  readonly bounds: readonly number[];
  /** Values in each bucket; the last one has those above every bound. */
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  record(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
    this.count++;
  }
}

export class Counter {
  value = 0;

  add(amount: number): void {
    this.value += amount;
  }
}

export interface Series {
  readonly labels: Labels;
  readonly data: Counter | Histogram;
}

export class Recorder {
  /** Series of each metric, by the text of their labels. */
  readonly #metrics = new Map<RecordedName, Map<string, Series>>();
  /** Milliseconds since the epoch. */
  readonly startedAt = Date.now();

  histogram(name: RecordedName, labels: Labels): Histogram {
    return this.#series(name, labels) as Histogram;
  }

  counter(name: RecordedName, labels: Labels): Counter {
    return this.#series(name, labels) as Counter;
  }

  get metrics(): Iterable<readonly [name: RecordedName, series: Iterable<Series>]> {
    return [...this.#metrics].map(([name, series]) => [name, series.values()] as const);
  }

  #series(name: RecordedName, labels: Labels): Counter | Histogram {
    const all = this.#metrics.get(name) ?? new Map<string, Series>();
    this.#metrics.set(name, all);
    const key = keyOf(labels);
    const known = all.get(key);
    if (known !== undefined) return known.data;
    if (all.size >= SERIES_MAX && labels !== OVERFLOW) return this.#series(name, OVERFLOW);
    const metric = RECORDED_METRICS[name];
    const data = metric.kind === "counter" ? new Counter() : new Histogram(metric.bounds);
    all.set(key, { labels, data });
    return data;
  }
}

/** Every step and every record asks for a series, so this is faster than JSON. */
function keyOf(labels: Labels): string {
  let key = "";
  for (const name in labels) key += `${name}\u0000${labels[name]}\u0000`;
  return key;
}
