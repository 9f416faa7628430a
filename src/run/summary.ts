// The summary of a run: its end in figures, as `--json` prints it.

import type { Budget } from "../driver/ledger.ts";
import { MatrixError } from "../error.ts";
import type { Stopped } from "../records/manifest.ts";
import type { RunDirectory } from "../records/run-directory.ts";
import type { FoundCredentials } from "../task/credential-patterns.ts";
import type { Spent } from "../task/spent.ts";
import type { Usage } from "../task/task.ts";
import type { Books } from "./books.ts";
import type { Work } from "./run-rows.ts";

/** The object that --json prints. An error is also printed on stderr, with its hint. */
export interface Summary {
  readonly name: string;
  readonly directory: string;
  readonly state: "complete" | "stopped";
  /** Why a run that is not complete has stopped. */
  readonly stopped: Stopped | null;
  readonly simulated: boolean;
  /** True when the run was made of another run's records. */
  readonly replayed: boolean;
  /** The cost of a replay over all starts; null for a run of a dataset. */
  readonly asked: Spent | null;
  readonly expected: number;
  readonly ok: number;
  readonly failed: number;
  readonly lost: number;
  /** Number of records that earlier starts of the run made. */
  readonly recorded_before: number;
  /** Number of records that --retry moved to superseded.jsonl; null without --retry. */
  readonly retried: number | null;
  /**
   * Tasks without a record when the run stopped: those in flight, and those that ended and made it
   * stop early. A continued run starts them again.
   */
  readonly abandoned: number;
  readonly elapsed_ms: number;
  /** Bytes that peers sent each other; null in one process. */
  readonly wire_bytes: number | null;
  /** Hops of this start, which took `elapsed_ms`. */
  readonly hops: number;
  /** Sum over all records of the run. Cost, stop reasons, errors and score are of all, too. */
  readonly usage: Usage;
  readonly cost: number | null;
  /** Spent by all starts, including what had to be done again. */
  readonly spent: Spent;
  readonly budget: Budget | null;
  readonly stop_reasons: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  /** Failed and lost records of all starts, by error code. */
  readonly all_errors: Readonly<Record<string, number>>;
  readonly score: { readonly scored: number; readonly mean: number } | null;
  /** Texts that look like a credential, in the records of this start that were looked at. */
  readonly credentials: FoundCredentials;
  readonly error: MatrixError | null;
}

export interface Ended {
  /** Null when the run is complete. */
  readonly stopped: Stopped | null;
  readonly abandoned: number;
  /** True for a start with --retry. */
  readonly isRetry: boolean;
  readonly elapsedMs: number;
  readonly wireBytes: number | null;
  readonly spent: Spent;
  readonly credentials: FoundCredentials;
  /** Null when nothing went wrong. */
  readonly error: unknown;
}

export function summarise(
  { plan, rows }: Work,
  directory: RunDirectory,
  books: Books,
  { stopped, abandoned, isRetry, elapsedMs, wireBytes, spent, credentials, error }: Ended,
): Summary {
  const { usage, cost, stopReasons, errors, score } = books.whole;
  return {
    name: plan.recipe.name,
    directory: directory.path,
    state: stopped === null ? "complete" : "stopped",
    stopped,
    simulated: directory.simulated,
    replayed: rows.replay !== null,
    asked: rows.replay === null ? null : books.paid,
    expected: rows.expected,
    ...directory.counts,
    recorded_before: books.before,
    retried: isRetry ? directory.moved : null,
    abandoned,
    elapsed_ms: Math.round(elapsedMs),
    wire_bytes: wireBytes,
    hops: books.tally.hops,
    ...{ usage, cost, spent },
    budget: books.budget,
    stop_reasons: stopReasons,
    errors,
    all_errors: books.errors,
    score: score.count === 0 ? null : { scored: score.count, mean: score.sum / score.count },
    credentials,
    error: toMatrixError(error),
  };
}

function toMatrixError(error: unknown): MatrixError | null {
  if (error === null || error instanceof MatrixError) return error;
  return new MatrixError("storage_failed", String(error), { cause: error });
}
