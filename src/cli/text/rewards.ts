// The rewards of a run, from its records: one line per domain with the mean reward, its standard
// error, pass^k and why tasks ended. A task that failed or was not scored has no reward; it is
// never counted as 0.

import type { TrajectoryRecord } from "../../task/record.ts";
import { renderTable } from "./table.ts";

/**
 * A reward counts as success within this margin of 1, because rewards are products of fractions.
 */
const SUCCESS_MARGIN = 1e-6;

export interface RewardLine {
  readonly domain: string;
  readonly tasks: number;
  readonly scored: number;
  /** Records that failed or were lost. */
  readonly failed: number;
  readonly mean: number | null;
  /** Standard error of the mean over tasks; null for fewer than two scored tasks. */
  readonly error: number | null;
  /**
   * pass^1, pass^2, …: chance that k trials of a task all succeed (Yao et al., "τ-bench", 2024).
   */
  readonly pass: readonly number[];
  readonly ended: Readonly<Record<string, number>>;
}

export class RewardTally {
  readonly #run: string;
  readonly #domains = new Map<string, Domain>();

  /** `run` names the tasks that have no domain. */
  constructor(run: string) {
    this.#run = run;
  }

  add(record: TrajectoryRecord): void {
    const name = domainOf(record) ?? this.#run;
    const domain = this.#domains.get(name) ?? new Domain();
    this.#domains.set(name, domain);
    domain.add(record);
  }

  get lines(): readonly RewardLine[] {
    return [...this.#domains].map(([name, domain]) => domain.line(name));
  }
}

export function renderRewards(
  name: string,
  simulated: boolean,
  lines: readonly RewardLine[],
): string {
  const most = Math.max(0, ...lines.map(({ pass }) => pass.length));
  const head = [
    "domain",
    "tasks",
    "scored",
    "failed",
    "reward",
    "±",
    ...Array.from({ length: most }, (_, k) => `pass^${k + 1}`),
    "ended",
  ];
  const rows = lines.map(({ domain, tasks, scored, failed, mean, error, pass, ended }) => [
    ...[domain, String(tasks), String(scored), String(failed), fraction(mean), fraction(error)],
    ...Array.from({ length: most }, (_, k) => fraction(pass[k] ?? null)),
    Object.entries(ended)
      .sort(([, a], [, b]) => b - a)
      .map(([reason, count]) => `${reason} ${count}`)
      .join(", "),
  ]);
  const last = head.length - 1;
  return [
    `${name}${simulated ? " (simulated model)" : ""}`,
    "",
    renderTable([head, ...rows], (column) => column === 0 || column === last),
    "",
    "±: standard error over tasks",
  ].join("\n");
}

/** Rewards by task, and how often tasks ended for each reason. */
class Domain {
  readonly #rewards = new Map<string, number[]>();
  readonly #ended: Record<string, number> = {};
  #failed = 0;

  add(record: TrajectoryRecord): void {
    const rewards = this.#rewards.get(record.id) ?? [];
    this.#rewards.set(record.id, rewards);
    if (record.status !== "ok") this.#failed++;
    if (record.score !== null) rewards.push(record.score);
    const reason = reasonOf(record);
    this.#ended[reason] = (this.#ended[reason] ?? 0) + 1;
  }

  line(domain: string): RewardLine {
    const byTask = [...this.#rewards.values()].filter((rewards) => rewards.length > 0);
    const all = byTask.flat();
    return {
      domain,
      tasks: this.#rewards.size,
      scored: all.length,
      failed: this.#failed,
      mean: all.length === 0 ? null : mean(all),
      error: standardError(byTask.map(mean)),
      pass: passes(byTask),
      ended: this.#ended,
    };
  }
}

/** The values pass^k for every k up to the smallest number of scored trials of a task. */
function passes(byTask: readonly (readonly number[])[]): number[] {
  const trials = byTask.length === 0 ? 0 : Math.min(...byTask.map(({ length }) => length));
  return Array.from({ length: trials }, (_, index) =>
    mean(
      byTask.map(
        (rewards) =>
          choose(rewards.filter(isSuccess).length, index + 1) / choose(rewards.length, index + 1),
      ),
    ),
  );
}

function isSuccess(reward: number): boolean {
  return Math.abs(reward - 1) <= SUCCESS_MARGIN;
}

/** Binomial coefficient; 0 when k is larger than n. */
function choose(n: number, k: number): number {
  let ways = 1;
  for (let i = 0; i < k; i++) ways *= (n - i) / (i + 1);
  return Math.max(0, Math.round(ways));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function standardError(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  const variance =
    values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
  return Math.sqrt(variance / values.length);
}

function domainOf({ outcome, row }: TrajectoryRecord): string | null {
  const domain = outcome?.["domain"] ?? row["domain"];
  return typeof domain === "string" ? domain : null;
}

function reasonOf({ outcome, stop_reason: reason, error }: TrajectoryRecord): string {
  const termination = outcome?.["termination_reason"];
  return typeof termination === "string" ? termination : (error?.code ?? reason);
}

function fraction(value: number | null): string {
  return value === null ? "-" : value.toFixed(3);
}
