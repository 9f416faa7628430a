// `matrix report DIR`: what a run is worth, a line a domain: mean reward with its spread, pass^k over trials, why tasks ended; and
// what it used, a line a role and a model.
// Tasks that failed, or that nothing scored, have no reward: it is never taken as 0.

import { Command, Option } from "commander";
import { MatrixError } from "../error.ts";
import { readManifest } from "../records/manifest.ts";
import { readRecords } from "../records/read-records.ts";
import type { TrajectoryRecord } from "../task/record.ts";
import { renderUsage, UsageTally } from "./usage-report.ts";

/** A reward this near to 1 is a success: rewards are products of fractions. */
const SUCCESS_MARGIN = 1e-6;

interface Line {
  readonly domain: string;
  readonly tasks: number;
  readonly scored: number;
  /** Lost ones among them. */
  readonly failed: number;
  readonly mean: number | null;
  /** Standard error of the mean, over tasks; null for fewer than two. */
  readonly error: number | null;
  /** pass^1, pass^2 …: the chance that k trials of a task all succeed (Yao et al., "τ-bench", 2024). */
  readonly pass: readonly number[];
  readonly ended: Readonly<Record<string, number>>;
}

export function reportCommand(): Command {
  return new Command("report")
    .description(
      "mean reward, pass^k and why tasks ended, a line a domain; usage, cost and latency, a line a role and a model",
    )
    .argument("<dir>", "the run directory")
    .addOption(new Option("--json", "one object on stdout").env("MATRIX_JSON"))
    .action(async (directory: string, { json = false }: { json?: boolean }) => {
      const manifest = await readManifest(directory);
      if (manifest === null)
        throw new MatrixError("usage", `${directory} is no run directory: it has no manifest.json`);
      const { name, simulated } = manifest;
      const domains = new Map<string, Domain>();
      const usage = new UsageTally();
      for await (const records of readRecords(directory)) {
        for (const record of records) {
          const domain = domainOf(record) ?? name;
          const group = domains.get(domain) ?? new Domain();
          domains.set(domain, group.add(record));
          usage.add(record);
        }
      }
      const lines = [...domains].map(([domain, group]) => group.line(domain));
      if (json) console.log(JSON.stringify({ name, simulated, domains: lines, ...usage.report }));
      else console.log(`${textOf(name, simulated, lines)}\n\n${renderUsage(usage.report)}`);
    });
}

/** Rewards by task, and ends. */
class Domain {
  readonly #rewards = new Map<string, number[]>();
  readonly #ended: Record<string, number> = {};
  #failed = 0;

  add(record: TrajectoryRecord): this {
    const rewards = this.#rewards.get(record.id) ?? [];
    this.#rewards.set(record.id, rewards);
    if (record.status !== "ok") this.#failed++;
    if (record.score !== null) rewards.push(record.score);
    const reason = reasonOf(record);
    this.#ended[reason] = (this.#ended[reason] ?? 0) + 1;
    return this;
  }

  line(domain: string): Line {
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

/** For every k that each task has trials for. */
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

function textOf(name: string, simulated: boolean, lines: readonly Line[]): string {
  const most = Math.max(...lines.map(({ pass }) => pass.length));
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
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const last = head.length - 1;
  const padded = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column === 0 || column === last
          ? cell.padEnd(column === last ? 0 : (widths[column] ?? 0))
          : cell.padStart(widths[column] ?? 0),
      )
      .join("  ");
  return [
    `${name}${simulated ? " (simulated model)" : ""}`,
    "",
    padded(head),
    ...rows.map(padded),
    "",
    "±: standard error over tasks",
  ].join("\n");
}

function fraction(value: number | null): string {
  return value === null ? "-" : value.toFixed(3);
}
