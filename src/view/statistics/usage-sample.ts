// Usage and latency of roles and models. Hops are not in the index, so a large run is judged by a
// sample of its records, spread evenly over the file.

import { addUsage, NO_USAGE, roundMoney } from "../../task/spent.ts";
import type { HopLine, UsageLine } from "../api.ts";
import type { OpenRun } from "../library/open-run.ts";
import { RecordView } from "../record/record-view.ts";
import type { RunTable } from "../table/run-table.ts";

const RECORDS_MAX = 400;
/** Bytes of records that a sample reads. */
const BYTES_MAX = 16 * 2 ** 20;

export interface UsageSample {
  readonly roles: readonly UsageLine[];
  readonly models: readonly UsageLine[];
  /** Number of records that were read; null for all of them. */
  readonly sampled: number | null;
}

export async function usageSample(run: OpenRun, table: RunTable): Promise<UsageSample> {
  const roles = new Map<string, Line>();
  const models = new Map<string, Line>();
  const bytes = await table.numbers("bytes");
  const step = Math.max(1, table.size / RECORDS_MAX);
  let [read, budget] = [0, BYTES_MAX];
  for (let at = 0; at < table.size; at += step) {
    const n = Math.floor(at);
    budget -= bytes[n] ?? 0;
    if (budget < 0 && read > 0) break;
    const line = await run.lineAt(table, n).catch(() => null);
    if (line === null) continue;
    read++;
    for (const hop of new RecordView(line).hops) {
      lineOf(roles, hop.role).add(hop);
      if (hop.model !== undefined) lineOf(models, hop.model).add(hop);
    }
  }
  const linesOf = (lines: ReadonlyMap<string, Line>) =>
    [...lines].map(([name, line]) => line.report(name));
  return {
    roles: linesOf(roles),
    models: linesOf(models),
    sampled: read === table.size ? null : read,
  };
}

function lineOf(lines: Map<string, Line>, name: string): Line {
  const line = lines.get(name) ?? new Line();
  lines.set(name, line);
  return line;
}

class Line {
  #usage = NO_USAGE;
  #cost: number | null = null;
  #errors = 0;
  readonly #ms: number[] = [];

  add({ usage, cost, error, runMs }: HopLine): void {
    if (usage !== undefined) this.#usage = addUsage(this.#usage, usage);
    if (cost !== undefined) this.#cost = roundMoney((this.#cost ?? 0) + cost);
    if (error !== undefined) this.#errors++;
    this.#ms.push(runMs);
  }

  report(name: string): UsageLine {
    const sorted = this.#ms.sort((a, b) => a - b);
    const quantile = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
    return {
      name,
      hops: sorted.length,
      errors: this.#errors,
      ...this.#usage,
      cost: this.#cost,
      ms: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
    };
  }
}
