// The usage of a run, from its records: one line per role and per model with how long their steps
// took, and one line for whole tasks. Memory does not grow with records: durations are counted by
// length.

import type { TrajectoryRecord } from "../../task/record.ts";
import { addUsage, NO_USAGE, roundMoney } from "../../task/spent.ts";
import type { Usage } from "../../task/task.ts";
import { grouped } from "./figures.ts";
import { renderTable } from "./table.ts";

export interface UsageReport {
  readonly roles: readonly UsageLine[];
  readonly models: readonly UsageLine[];
  readonly tasks: UsageLine;
}

export interface UsageLine extends Usage {
  readonly name: string;
  /** Hops of the role or model; records on the line of whole tasks. */
  readonly count: number;
  /** Null when no model that it used has a price. */
  readonly cost: number | null;
  /** Milliseconds from the start of the agent to its answer; for tasks, from admission to end. */
  readonly ms: { readonly p50: number; readonly p95: number; readonly p99: number };
}

export class UsageTally {
  readonly #roles = new Map<string, Line>();
  readonly #models = new Map<string, Line>();
  readonly #tasks = new Line("tasks");

  add({ history, usage, cost, timing }: TrajectoryRecord): void {
    for (const hop of history) {
      lineOf(this.#roles, hop.role).add(hop.usage, hop.cost, hop.run_ms);
      if (hop.model !== undefined)
        lineOf(this.#models, hop.model).add(hop.usage, hop.cost, hop.run_ms);
    }
    this.#tasks.add(usage, cost ?? undefined, timing.total_ms);
  }

  get report(): UsageReport {
    const reports = (lines: ReadonlyMap<string, Line>) =>
      [...lines.values()].map((line) => line.report);
    return {
      roles: reports(this.#roles),
      models: reports(this.#models),
      tasks: this.#tasks.report,
    };
  }
}

export function renderUsage({ roles, models, tasks }: UsageReport): string {
  const head = [
    "",
    "hops",
    "requests",
    "tokens in",
    "cached",
    "tokens out",
    "cost",
    "p50 ms",
    "p95 ms",
    "p99 ms",
  ];
  const row = (line: UsageLine): string[] => [
    line.name,
    ...[
      line.count,
      line.requests,
      line.prompt_tokens,
      line.cached_tokens ?? 0,
      line.completion_tokens,
    ].map(grouped),
    line.cost === null ? "-" : line.cost.toFixed(4),
    ...[line.ms.p50, line.ms.p95, line.ms.p99].map((ms) =>
      ms < 100 ? ms.toFixed(1) : grouped(ms),
    ),
  ];
  const table = renderTable([
    ["role", ...head.slice(1)],
    ...roles.map(row),
    ["model"],
    ...models.map(row),
    ["whole tasks"],
    row(tasks),
  ]);
  return [table, ...originsOf(tasks).map((origin) => `\n${origin}`)].join("\n");
}

/** The sources of tokens and cost, where they are not the counts and the prices alone. */
export function originsOf(usage: Usage): readonly string[] {
  const { stated_cost: stated = 0, estimated_requests: estimated = 0 } = usage;
  return [
    ...(stated === 0 ? [] : [`of the cost, ${stated.toFixed(4)} was stated by the endpoint`]),
    ...(estimated === 0 ? [] : [`the tokens of ${grouped(estimated)} requests are estimates`]),
  ];
}

class Line {
  readonly #name: string;
  #count = 0;
  #usage = NO_USAGE;
  #cost: number | null = null;
  readonly #durations = new Durations();

  constructor(name: string) {
    this.#name = name;
  }

  add(usage: Usage | undefined, cost: number | undefined, ms: number): void {
    this.#count++;
    if (usage !== undefined) this.#usage = addUsage(this.#usage, usage);
    if (cost !== undefined) this.#cost = roundMoney((this.#cost ?? 0) + cost);
    this.#durations.add(ms);
  }

  get report(): UsageLine {
    return {
      name: this.#name,
      count: this.#count,
      ...this.#usage,
      cost: this.#cost,
      ms: {
        p50: this.#durations.quantile(0.5),
        p95: this.#durations.quantile(0.95),
        p99: this.#durations.quantile(0.99),
      },
    };
  }
}

function lineOf(lines: Map<string, Line>, name: string): Line {
  const line = lines.get(name) ?? new Line(name);
  lines.set(name, line);
  return line;
}

/**
 * Logarithm of the ratio between neighbours on the scale. Quantiles are off by half of it at most.
 */
const STEP = Math.log(1.01);
const SHORTEST_MS = 0.001;

/** Counts durations on a logarithmic scale. */
class Durations {
  readonly #counts = new Map<number, number>();
  #total = 0;

  add(ms: number): void {
    const step = Math.round(Math.log(Math.max(ms, SHORTEST_MS)) / STEP);
    this.#counts.set(step, (this.#counts.get(step) ?? 0) + 1);
    this.#total++;
  }

  /** 0 when there are no durations. */
  quantile(share: number): number {
    let left = Math.ceil(share * this.#total);
    for (const [step, count] of [...this.#counts].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return Math.round(Math.exp(step * STEP) * 1000) / 1000;
    }
    return 0;
  }
}
