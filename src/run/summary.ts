// The end of a run, in figures.

import type { Budget } from "../driver/ledger.ts";
import type { MatrixError } from "../error.ts";
import type { Spent } from "../task/spent.ts";
import type { Usage } from "../task/task.ts";

/** As printed by --json. An error is printed on stderr as well, with its hint. */
export interface Summary {
  readonly name: string;
  readonly directory: string;
  readonly state: "complete" | "stopped";
  readonly simulated: boolean;
  /** True when the run was made of another run's records, without a model. */
  readonly replayed: boolean;
  readonly expected: number;
  readonly ok: number;
  readonly failed: number;
  readonly lost: number;
  /** Number of records that earlier starts of the run made. */
  readonly recorded_before: number;
  /** Tasks that were in flight when the run stopped. A continued run starts them again. */
  readonly abandoned: number;
  readonly elapsed_ms: number;
  /** Bytes that peers sent each other; null in one process. */
  readonly wire_bytes: number | null;
  /** Hops of this start. Usage, cost, stop reasons, errors and score are of this start, too. */
  readonly hops: number;
  readonly usage: Usage;
  readonly cost: number | null;
  /** Spent by all starts, including what had to be done again. */
  readonly spent: Spent;
  readonly budget: Budget | null;
  readonly stop_reasons: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly score: { readonly scored: number; readonly mean: number } | null;
  readonly error: MatrixError | null;
}
