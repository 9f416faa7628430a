// A run as others see it: a snapshot for its display, an observation for its metrics.

import type { Fabric, Run } from "../driver/run.ts";
import type { RunDirectory } from "../records/run-directory.ts";
import type { Observation } from "../telemetry/observed-metrics.ts";
import type { Books } from "./books.ts";
import type { Work } from "./run-rows.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Stage } from "./stage.ts";

/** The parts that play the tasks. */
export interface Playing {
  readonly run: Run;
  readonly fabric: Fabric;
  readonly stage: Stage;
}

export interface RunView {
  readonly work: Work;
  readonly directory: RunDirectory;
  readonly books: Books;
  readonly elapsedMs: number;
  /** True when no further task begins. */
  readonly isStopping: boolean;
  /** Rate limits that hold requests back, by their recipe keys. */
  readonly waitedFor: readonly string[];
  /** Null while the run is being opened. */
  readonly playing: Playing | null;
}

export function snapshotOf(view: RunView): Snapshot {
  const { work, directory, books, elapsedMs, isStopping, waitedFor, playing } = view;
  const { usage, cost } = books.tally;
  return {
    name: work.plan.recipe.name,
    simulated: directory.simulated,
    expected: work.rows.expected,
    ...directory.counts,
    before: books.before,
    inFlight: playing?.run.inFlight ?? 0,
    elapsedMs,
    roles: playing?.fabric.roles ?? [],
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    cost,
    stopping: isStopping,
    waitedFor,
  };
}

export function observationOf({ work, directory, books, playing }: RunView): Observation {
  const { expected } = work.rows;
  const peer = playing?.stage.peer;
  const inFlight = playing?.run.inFlight ?? 0;
  return {
    roles: playing?.fabric.roles ?? [],
    broker: peer?.broker.counts ?? null,
    refusedRequests: peer?.server.refused ?? {},
    tasks: { inFlight, expected, ...directory.counts },
    models: playing?.stage.models ?? [],
    spent: books.ledger.spent,
  };
}
