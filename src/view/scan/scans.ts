// The scans of one run. A scan of the same question is shared, and its matches stay for lists and
// for the way from one match to the next.

import { messageOf } from "../../error.ts";
import { compileExpression } from "../../recipe/expression/expression.ts";
import { BadQuery, type Parameters } from "../table/filter.ts";
import type { RunTable } from "../table/run-table.ts";
import { Scan, type ScanOptions } from "./scan.ts";

const KEPT = 8;

export class Scans {
  readonly #scans = new Map<string, Scan>();

  /** The scan of `where` and `q`, as far as it is; null when none was begun. */
  of(parameters: Parameters): Scan | null {
    return this.#scans.get(keyOf(parameters)) ?? null;
  }

  /**
   * Begins the scan, unless it goes on or has read the whole table. Fails with `BadQuery` when
   * `where` does not parse.
   */
  async open(parameters: Parameters, table: RunTable, lines: ScanOptions["lines"]): Promise<Scan> {
    const known = this.of(parameters);
    const { state, total } = known?.progress ?? { state: "none", total: 0 };
    if (known !== null && (state === "running" || (state === "done" && total === table.size)))
      return known;
    const { where = "", q = "" } = parameters;
    const trials = await table.numbers("trial");
    const scan = new Scan({
      where: where === "" ? null : compiled(where),
      text: q === "" ? null : q,
      total: table.size,
      lines,
      refOf: (n) => ({ id: table.idAt(n), trial: trials[n] ?? 0 }),
    });
    this.#scans.delete(keyOf(parameters));
    this.#scans.set(keyOf(parameters), scan);
    const [[oldest, forgotten] = []] = this.#scans;
    if (this.#scans.size > KEPT && oldest !== undefined) {
      forgotten?.cancel();
      this.#scans.delete(oldest);
    }
    return scan;
  }

  async close(): Promise<void> {
    for (const scan of this.#scans.values()) scan.cancel();
    await Promise.all([...this.#scans.values()].map((scan) => scan.done));
  }
}

export function wantsScan({ where = "", q = "" }: Parameters): boolean {
  return where !== "" || q !== "";
}

function keyOf({ where = "", q = "" }: Parameters): string {
  return JSON.stringify([where, q]);
}

function compiled(source: string): ReturnType<typeof compileExpression> {
  try {
    return compileExpression(source);
  } catch (thrown) {
    throw new BadQuery(`where: ${messageOf(thrown)}`);
  }
}
