// Admission: draws rows, makes a task of each (row, trial) that is not recorded yet, and sends it on its way when it has a
// token. Row by row, never in batches: each finished task admits the next.

import type { RowStream } from "../dataset/open.ts";
import { type Rule, startTask } from "../orchestrator/advance.ts";
import { keyOf, type TaskKey } from "../peer/parcel.ts";
import type { Transport } from "../peer/transport.ts";
import type { Clock } from "../task/clock.ts";
import { deriveSeed } from "../task/seed.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { InFlight, InFlightTask } from "./in-flight.ts";
import type { Tokens } from "./tokens.ts";

export interface AdmissionOptions {
  readonly rows: RowStream;
  readonly trials: number;
  readonly seed: number;
  /** Whether the run directory has the record already. */
  readonly isRecorded: (rowId: string, trial: number) => boolean;
  readonly rule: Rule;
  readonly tokens: Tokens;
  /** Whether one more task may begin beside so many; asked again when one of them is over, and not for the first. */
  readonly hasRoom: (inFlight: number) => boolean;
  readonly inFlight: InFlight;
  /** A task that was adopted, and that nobody has. */
  readonly onMissing: (key: TaskKey, task: InFlightTask) => void;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** Aborted: no further task is admitted. */
  readonly signal: AbortSignal;
}

/** Admits until the rows are used up (true) or the signal aborts (false). Whoever aborts wakes the tokens. */
export async function admitTasks(options: AdmissionOptions): Promise<boolean> {
  const {
    rows,
    trials,
    seed,
    isRecorded,
    rule,
    tokens,
    hasRoom,
    inFlight,
    onMissing,
    transport,
    clock,
    tracing,
    signal,
  } = options;
  for (;;) {
    const drawn = rows.next();
    const row = drawn instanceof Promise ? await drawn : drawn;
    if (row === null) return true;
    const end = row.trial === undefined ? trials : row.trial + 1;
    for (let trial = row.trial ?? 0; trial < end; trial++) {
      if (isRecorded(row.id, trial)) continue;
      const admitted = {
        rowId: row.id,
        trial,
        row: row.row,
        seed: deriveSeed(seed, row.id, trial),
        attempt: 1,
      };
      const known = inFlight.get(keyOf(admitted));
      if (known !== undefined) {
        // Adopted from the driver before this one: now its row is known.
        known.admitted = { ...admitted, attempt: known.attempt, admittedAt: clock(), trace: null };
        if (known.isMissing) onMissing(keyOf(admitted), known);
        continue;
      }
      if (inFlight.wasOverUnread(keyOf(admitted))) continue;
      for (;;) {
        if (signal.aborted) return false;
        if (hasRoom(tokens.taken) && tokens.take()) break;
        await tokens.changed();
      }
      const whole = { ...admitted, admittedAt: clock(), trace: tracing?.startTask() ?? null };
      inFlight.add(whole);
      transport.submit(startTask(rule, whole));
    }
  }
}
