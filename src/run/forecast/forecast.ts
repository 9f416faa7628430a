// A forecast: from what some tasks used, it computes what all remaining tasks will use. Each figure
// has a range in which it lies nine times of ten. Pure.

import { createRandom } from "../../task/seed.ts";
import type { Hop, Usage } from "../../task/task.ts";

/** Standard deviations to either side that hold 90 % of a normal distribution. */
const SPREAD = 1.645;
/**
 * Number of simulated runs that show how long the tasks take, and most tasks in each of them. More
 * tasks are taken to go on at the same pace.
 */
const DRAWS = 40;
const DRAWN_TASKS_MAX = 5000;

/** The use of one task. */
export interface Sample {
  readonly asks: readonly Ask[];
  /** Time from its admission to its end when nothing holds it up. */
  readonly ms: number;
}

/** One hop that asked a model. */
export interface Ask extends Usage {
  readonly role: string;
  readonly cost: number | null;
  readonly ms: number;
}

export interface Workload {
  /** Number of tasks that remain. */
  readonly tasks: number;
  /** True when the samples are exact for the tasks that they stand for. */
  readonly isRepeatable: boolean;
  readonly concurrency: number;
  readonly roles: readonly PlannedRole[];
  readonly models: readonly PlannedModel[];
  /** Number of processes that ask models. */
  readonly hosts: number;
}

export interface PlannedRole {
  readonly name: string;
  readonly model: string | null;
  readonly concurrency: number;
}

export interface PlannedModel {
  readonly name: string;
  readonly concurrency: number;
  readonly rpm: number | null;
  readonly tpm: number | null;
}

export interface Range {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

export interface Forecast {
  readonly requests: Range;
  readonly prompt_tokens: Range;
  readonly completion_tokens: Range;
  /** Tokens of prompts and completions together. */
  readonly tokens: Range;
  /** Null when no model has a price. */
  readonly cost: Range | null;
  readonly time_ms: Range;
  /** The resource that decides the time, in words. */
  readonly bound_by: string;
  /** Expected use of each role. */
  readonly roles: readonly RoleForecast[];
}

export interface RoleForecast extends Usage {
  readonly name: string;
  readonly cost: number | null;
}

/** Computes the forecast. There must be at least one sample. */
export function forecast(samples: readonly Sample[], plan: Workload): Forecast {
  const total = (of: (ask: Ask) => number): Range =>
    rangeOf(
      samples.map(({ asks }) => sum(asks, of)),
      plan,
    );
  const tokens = total(({ prompt_tokens, completion_tokens }) => prompt_tokens + completion_tokens);
  const isPriced = samples.some(({ asks }) => asks.some(({ cost }) => cost !== null));
  const each = plan.tasks / samples.length;
  const roles = plan.roles
    .filter(({ model }) => model !== null)
    .map(({ name }) => {
      const asks = samples.flatMap((sample) => sample.asks.filter(({ role }) => role === name));
      return {
        name,
        requests: each * sum(asks, (ask) => ask.requests),
        prompt_tokens: each * sum(asks, (ask) => ask.prompt_tokens),
        completion_tokens: each * sum(asks, (ask) => ask.completion_tokens),
        cost: asks.some(({ cost }) => cost !== null)
          ? each * sum(asks, ({ cost }) => cost ?? 0)
          : null,
      };
    });
  const bounds = boundsOf(samples, plan);
  const [slowest] = bounds.sort(([, a], [, b]) => b.expected - a.expected);
  return {
    requests: total(({ requests }) => requests),
    prompt_tokens: total((ask) => ask.prompt_tokens),
    completion_tokens: total((ask) => ask.completion_tokens),
    tokens,
    cost: isPriced ? total(({ cost }) => cost ?? 0) : null,
    time_ms: slowest[1],
    bound_by: slowest[0],
    roles,
  };
}

/**
 * Time of the steps of a task, one after the other. Of branches that run at once, the longest
 * counts.
 */
export function durationOf(history: readonly Hop[]): number {
  let ms = 0;
  let branches: number[] = [];
  for (const { branch, run_ms } of history) {
    if (branch === undefined) {
      ms += longestOf(branches) + run_ms;
      branches = [];
    } else branches[branch] = (branches[branch] ?? 0) + run_ms;
  }
  return ms + longestOf(branches);
}

/** A branch without a hop is a hole in the list, which `reduce` passes over. */
function longestOf(branches: readonly number[]): number {
  return branches.reduce((longest, ms) => Math.max(longest, ms), 0);
}

/**
 * The range of a sum over all tasks, from a sample of them. Its width has two causes: the sampled
 * tasks may differ from the others, and tasks differ from each other.
 */
function rangeOf(values: readonly number[], { tasks, isRepeatable }: Workload): Range {
  const mean = sum(values, (value) => value) / values.length;
  const variance =
    values.length < 2
      ? mean ** 2
      : sum(values, (value) => (value - mean) ** 2) / (values.length - 1);
  const ofMean = (tasks ** 2 * variance) / values.length;
  const error = isRepeatable
    ? ofMean * Math.max(0, 1 - values.length / tasks)
    : ofMean + tasks * variance;
  const spread = SPREAD * Math.sqrt(error);
  return {
    expected: tasks * mean,
    low: Math.max(0, tasks * mean - spread),
    high: tasks * mean + spread,
  };
}

type Bound = [what: string, time: Range];

/** The limited resources, each with the time that the run takes with it. The longest decides. */
function boundsOf(samples: readonly Sample[], plan: Workload): [Bound, ...Bound[]] {
  const { models, roles, hosts, concurrency } = plan;
  const modelOf = new Map(roles.map(({ name, model }) => [name, model]));
  const bounds: [Bound, ...Bound[]] = [
    [`run.concurrency = ${concurrency}`, makespan(samples, plan)],
  ];
  const add = (what: string, msEach: number, of: (ask: Ask) => number): void => {
    bounds.push([
      what,
      rangeOf(
        samples.map(({ asks }) => msEach * sum(asks, of)),
        plan,
      ),
    ]);
  };
  for (const role of roles)
    add(`roles.${role.name}.concurrency`, 1 / (role.concurrency * hosts), (ask) =>
      ask.role === role.name ? ask.ms : 0,
    );
  for (const { name, rpm, tpm, ...model } of models) {
    const own = (of: (ask: Ask) => number) => (ask: Ask) =>
      modelOf.get(ask.role) === name ? of(ask) : 0;
    add(
      `models.${name}.concurrency`,
      1 / (model.concurrency * hosts),
      own(({ ms }) => ms),
    );
    if (rpm !== null)
      add(
        `models.${name}.rpm = ${rpm}`,
        60_000 / rpm,
        own(({ requests }) => requests),
      );
    if (tpm !== null)
      add(
        `models.${name}.tpm = ${tpm}`,
        60_000 / tpm,
        own((ask) => ask.prompt_tokens + ask.completion_tokens),
      );
  }
  return bounds;
}

/** Times of simulated runs with tasks like the samples, this many at once. */
function makespan(
  samples: readonly Sample[],
  { tasks, concurrency, isRepeatable }: Workload,
): Range {
  const random = createRandom(samples.length);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const all = samples.map(({ ms }) => ms);
  const drawn = Math.min(tasks, DRAWN_TASKS_MAX);
  const isAll = isRepeatable && samples.length === tasks;
  const spans = Array.from({ length: isAll ? 1 : DRAWS }, () => {
    // The samples themselves are drawn again: they could have been others.
    const seen = isAll ? all : all.map(() => pick(all));
    const durations = isAll ? all : Array.from({ length: drawn }, () => pick(seen));
    const further = ((tasks - drawn) * sum(seen, (ms) => ms)) / seen.length / concurrency;
    return spanOf(durations, concurrency) + further;
  }).sort((a, b) => a - b);
  const at = (share: number) => spans[Math.round(share * (spans.length - 1))] ?? 0;
  return { expected: sum(spans, (span) => span) / spans.length, low: at(0.05), high: at(0.95) };
}

/** Total time of tasks in this many places; each task takes the place that is free first. */
function spanOf(durations: readonly number[], places: number): number {
  // A heap with the place that is free first at its top.
  const free = new Float64Array(Math.min(places, durations.length));
  let last = 0;
  for (const ms of durations) {
    const until = (free[0] ?? 0) + ms;
    last = Math.max(last, until);
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= free.length) break;
      if (child + 1 < free.length && (free[child + 1] as number) < (free[child] as number)) child++;
      if ((free[child] as number) >= until) break;
      free[at] = free[child] as number;
      at = child;
    }
    free[at] = until;
  }
  return last;
}

function sum<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((total, one) => total + of(one), 0);
}
