// Admission: draws rows, makes a task of each (row, trial) that is not recorded yet, and sends it
// on its way when it has a token. Row by row, never in batches: each finished task admits the next.

import type { RowStream } from "../dataset/open.ts";
import { type Beginning, FIRST_BEGINNING } from "../records/superseded.ts";
import type { Clock } from "../task/clock.ts";
import type { Later } from "../task/later.ts";
import { taskSeed } from "../task/seed.ts";
import type { Message } from "../task/task.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { InFlight } from "./in-flight.ts";
import type { Tokens } from "./tokens.ts";

export interface AdmissionOptions {
  readonly rows: RowStream;
  readonly trials: number;
  readonly seed: number;
  /** True when the run directory has the record already. */
  readonly isRecorded: (rowId: string, trial: number) => boolean;
  readonly beginningOf?: (rowId: string, trial: number) => Beginning;
  readonly tokens: Tokens;
  /**
   * True when the budget has room for one more task beside those in flight (see ledger.ts). It is
   * asked again whenever a task has ended.
   */
  readonly hasRoom: (inFlight: number) => boolean;
  readonly inFlight: InFlight;
  /** Sends a message on its way: a step to a host, an end to the sink. */
  readonly dispatch: (message: Later<Message>) => void;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** Aborted: no further task is admitted. The aborter also wakes the tokens. */
  readonly signal: AbortSignal;
}

/** Admits until the rows are used up (true) or the signal aborts (false). */
export async function admitTasks(options: AdmissionOptions): Promise<boolean> {
  const { rows, trials, seed, isRecorded, beginningOf, inFlight, dispatch, clock, tracing } =
    options;
  for (;;) {
    const drawn = rows.next();
    const row = drawn instanceof Promise ? await drawn : drawn;
    if (row === null) return true;
    // A row that is a record of another run stands for one trial of it.
    const end = row.trial === undefined ? trials : row.trial + 1;
    for (let trial = row.trial ?? 0; trial < end; trial++) {
      if (isRecorded(row.id, trial)) continue;
      const { attempt, redraws } = beginningOf?.(row.id, trial) ?? FIRST_BEGINNING;
      const identity = { rowId: row.id, trial, row: row.row, attempt };
      const task = { ...identity, seed: row.seed ?? taskSeed(seed, row.id, trial, redraws) };
      const state = inFlight.readRow({ ...task, admittedAt: clock(), trace: null });
      if (state === "new") {
        // A token that is free is taken without a turn of the event loop.
        if (!takesToken(options) && !(await waitForToken(options))) return false;
        const trace = tracing?.startTask() ?? null;
        dispatch(inFlight.admit({ ...task, admittedAt: clock(), trace }));
      } else if (state !== "known") dispatch(state);
    }
  }
}

function takesToken({ tokens, hasRoom, signal }: AdmissionOptions): boolean {
  return !signal.aborted && hasRoom(tokens.taken) && tokens.take();
}

/** Resolves with false when the signal aborted first. */
async function waitForToken(options: AdmissionOptions): Promise<boolean> {
  const { tokens, signal } = options;
  while (!signal.aborted) {
    if (takesToken(options)) return true;
    await tokens.changed();
  }
  return false;
}
