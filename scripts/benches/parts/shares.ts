// The paper's latency tables: the share of each stage in a task's time, in percent, with the
// paper's numbers beside ours.

import { printTable, quantile, sorted, type TableRow } from "./report.ts";

const QUANTILES = [0.5, 0.9, 0.99];

/** Times of one task, in milliseconds. */
export interface TaskTime {
  readonly totalMs: number;
  readonly runMs: number;
  readonly queueMs: number;
}

export interface Stage<T> {
  readonly name: string;
  readonly ms: (task: T) => number;
  /** The paper's percentages at the median, p90 and p99; null where it has none. */
  readonly paper: readonly number[] | null;
}

/**
 * The paper's three stages, with its numbers. Our initialisation is all time that is neither agent
 * nor queue.
 */
export function stages(
  agent: readonly number[],
  queuing: readonly number[],
  initialisation: readonly number[],
): readonly Stage<TaskTime>[] {
  return [
    { name: "agent processing", ms: ({ runMs }) => runMs, paper: agent },
    { name: "queuing", ms: ({ queueMs }) => queueMs, paper: queuing },
    {
      name: "initialisation",
      ms: ({ totalMs, runMs, queueMs }) => totalMs - runMs - queueMs,
      paper: initialisation,
    },
  ];
}

export function printShares<T extends TaskTime>(
  title: string,
  stages: readonly Stage<T>[],
  tasks: readonly T[],
): void {
  const columns = ["paper p", "ours p"].flatMap((whose) =>
    QUANTILES.map((q) => [`${whose}${q * 100}`, 3] as const),
  );
  const rows = stages.map(({ name, ms, paper }): TableRow => {
    const shares = sorted(tasks.map((task) => (ms(task) / task.totalMs) * 100));
    return [
      name,
      ...QUANTILES.map((_, i) => paper?.[i] ?? null),
      ...QUANTILES.map((q) => quantile(shares, q)),
    ];
  });
  printTable(`${title}: % of a task's time`, columns, rows);
}
