// The rewards of a run, from its records: one line per domain with the mean reward, its standard
// error, pass^k and why tasks ended. A task that failed or was not scored has no reward; it is
// never counted as 0.

import { printable } from "../../task/printable.ts";
import type { TrajectoryRecord } from "../../task/record.ts";
import { RowScores, type ScoreReport } from "./row-scores.ts";
import { renderTable } from "./table.ts";

/**
 * Names beyond these numbers share one line or count: rows may carry the name of a web site as
 * their domain.
 */
const DOMAINS_MAX = 1000;
const REASONS_MAX = 100;
const OTHER_DOMAINS = "other domains";
const OTHER_REASONS = "other reasons";

export interface RewardLine extends Omit<ScoreReport, "rows"> {
  readonly domain: string;
  readonly tasks: number;
  /** Records that failed or were lost. */
  readonly failed: number;
  readonly ended: Readonly<Record<string, number>>;
}

export class RewardTally {
  readonly #run: string;
  readonly #trials: number;
  readonly #domains = new Map<string, Domain>();

  /** `run` names the tasks that have no domain; `trials` is the number of trials of each row. */
  constructor(run: string, trials: number) {
    this.#run = run;
    this.#trials = trials;
  }

  add(record: TrajectoryRecord): void {
    const name = knownName(
      this.#domains,
      domainOf(record) ?? this.#run,
      DOMAINS_MAX,
      OTHER_DOMAINS,
    );
    const domain = this.#domains.get(name) ?? new Domain(this.#trials);
    this.#domains.set(name, domain);
    domain.add(record);
  }

  get lines(): readonly RewardLine[] {
    return [...this.#domains].map(([name, domain]) => domain.line(name));
  }
}

/** The name, or `other` for a new one when there are as many names as there may be. */
function knownName(
  names: ReadonlyMap<string, unknown>,
  name: string,
  max: number,
  other: string,
): string {
  return names.has(name) || names.size < max ? name : other;
}

export function renderRewards(
  name: string,
  simulated: boolean,
  lines: readonly RewardLine[],
): string {
  const shown = shownTrials(lines.reduce((most, { pass }) => Math.max(most, pass.length), 0));
  const head = [
    "domain",
    "tasks",
    "scored",
    "failed",
    "reward",
    "±",
    ...shown.map((k) => `pass^${k}`),
    "ended",
  ];
  const rows = lines.map(({ domain, tasks, scored, failed, mean, error, pass, ended }) => [
    ...[printable(domain), String(tasks), String(scored), String(failed)],
    ...[fraction(mean), fraction(error)],
    ...shown.map((k) => fraction(pass[k - 1] ?? null)),
    Object.entries(ended)
      .sort(([, a], [, b]) => b - a)
      .map(([reason, count]) => `${printable(reason)} ${count}`)
      .join(", "),
  ]);
  const last = head.length - 1;
  return [
    `${name}${simulated ? " (simulated model)" : ""}`,
    "",
    renderTable([head, ...rows], (column) => column === 0 || column === last),
    "",
    "±: standard error over tasks",
    ...(shown.length < 2 ? [] : ["pass^k: chance that k trials of a task all succeed"]),
  ].join("\n");
}

/** The values of k that the table has: 1, 2, 4, 8 and so on, and all trials. */
function shownTrials(most: number): number[] {
  const shown: number[] = [];
  for (let k = 1; k < most; k *= 2) shown.push(k);
  return most === 0 ? [] : [...shown, most];
}

/** Scores by task, and how often tasks ended for each reason. */
class Domain {
  readonly #scores: RowScores;
  readonly #ended = new Map<string, number>();
  #failed = 0;

  constructor(trials: number) {
    this.#scores = new RowScores(trials);
  }

  add(record: TrajectoryRecord): void {
    this.#scores.add(record.id, record.score);
    if (record.status !== "ok") this.#failed++;
    const reason = knownName(this.#ended, reasonOf(record), REASONS_MAX, OTHER_REASONS);
    this.#ended.set(reason, (this.#ended.get(reason) ?? 0) + 1);
  }

  line(domain: string): RewardLine {
    const { rows, ...scores } = this.#scores.report;
    const ended = Object.fromEntries(this.#ended);
    return { domain, tasks: rows, failed: this.#failed, ...scores, ended };
  }
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
