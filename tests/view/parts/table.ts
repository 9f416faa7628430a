// A table that a test writes by hand.

import type { Cell } from "../../../src/view/api.ts";
import { MemoryTable } from "../../../src/view/table/memory-table.ts";

export interface Row {
  readonly id?: string;
  readonly trial?: number;
  readonly attempt?: number;
  readonly score?: number;
  readonly turns?: number;
  readonly tokens?: number;
  readonly cost?: number;
  readonly ms?: number;
  readonly ended?: number;
  readonly status?: string;
  readonly stop?: string;
  readonly error?: string;
  readonly message?: string;
  readonly cells?: readonly Cell[];
}

/** `own`: names of own columns. A value that is left out is not there. */
export function tableOf(rows: readonly Row[], own: readonly string[] = []): MemoryTable {
  const columns = own.map((name) => ({ name, source: `row.${name}` }));
  const table = new MemoryTable(columns, async (n) => JSON.stringify({ line: n }));
  for (const [n, row] of rows.entries())
    table.add({
      id: row.id ?? String(n),
      numbers: {
        trial: row.trial ?? 0,
        attempt: row.attempt ?? 1,
        score: row.score ?? Number.NaN,
        turns: row.turns ?? 0,
        tokens: row.tokens ?? 0,
        cost: row.cost ?? Number.NaN,
        ms: row.ms ?? Number.NaN,
        admitted: Number.NaN,
        ended: row.ended ?? Number.NaN,
        bytes: 1,
      },
      texts: {
        status: row.status ?? "ok",
        stop: row.stop ?? "completed",
        error: row.error ?? "",
        message: row.message ?? "",
        models: "",
      },
      cells: row.cells ?? [],
    });
  return table;
}
