// The metrics that are recorded as things happen, as one table: counters of what was used, and
// histograms of how long things took. Names and bounds that begin with `gen_ai` are those of
// OpenTelemetry's conventions for generative AI.

import { METRIC } from "./names.ts";

interface RecordedCounter {
  readonly kind: "counter";
  readonly unit: string;
  readonly description: string;
}

interface RecordedHistogram {
  readonly kind: "histogram";
  readonly unit: string;
  readonly description: string;
  /** Upper bounds of the buckets. */
  readonly bounds: readonly number[];
}

const POWERS_OF_TWO_S = Array.from({ length: 14 }, (_, power) => 2 ** power / 100);
const POWERS_OF_FOUR = Array.from({ length: 14 }, (_, power) => 4 ** power);
/** Steps take milliseconds in code and an hour in a sandbox. */
const DURATIONS_S = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  ...[60, 120, 300, 600, 1800, 3600],
];

const duration = (description: string): RecordedHistogram => ({
  kind: "histogram",
  unit: "s",
  description,
  bounds: DURATIONS_S,
});

export const RECORDED_METRICS = {
  [METRIC.operationDuration]: {
    kind: "histogram",
    unit: "s",
    description: "Time of each try of a request to a model.",
    bounds: POWERS_OF_TWO_S,
  },
  [METRIC.tokenUsage]: {
    kind: "histogram",
    unit: "{token}",
    description: "Tokens of each answer of a model.",
    bounds: POWERS_OF_FOUR,
  },
  [METRIC.modelRequests]: {
    kind: "counter",
    unit: "{request}",
    description: "Requests to models, by the code of what came of them.",
  },
  [METRIC.tokens]: {
    kind: "counter",
    unit: "{token}",
    description: "Tokens of models as they are spent.",
  },
  [METRIC.cost]: {
    kind: "counter",
    unit: "1",
    description: "Money as it is spent on models, in the currency of the recipe's prices.",
  },
  [METRIC.hopDuration]: duration("Time of each step in its agent."),
  [METRIC.hopQueue]: duration("Time of each step in the queue of its role."),
  [METRIC.taskDuration]: duration("Time of each task from its admission to its end."),
} as const satisfies Readonly<Record<string, RecordedCounter | RecordedHistogram>>;

export type RecordedName = keyof typeof RECORDED_METRICS;
