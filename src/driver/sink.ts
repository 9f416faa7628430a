// The sink: the last hop. It takes the first end of each task, writes its record, and only then gives the token back, so
// whatever a killed process loses was not counted.

import { MatrixError, messageOf } from "../error.ts";
import { failTask } from "../orchestrator/advance.ts";
import type { Receiver } from "../peer/transport.ts";
import type { Clock } from "../task/clock.ts";
import { createRecord, type TrajectoryRecord } from "../task/record.ts";
import type { Ending, Message, Task } from "../task/task.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { InFlight } from "./in-flight.ts";
import type { Tokens } from "./tokens.ts";

export type Counts = Readonly<Record<Ending["status"], number>>;

export interface SinkOptions {
  /** Resolves when the kernel has the lines. */
  readonly append: (lines: readonly string[], counts: Counts) => Promise<void>;
  readonly inFlight: InFlight;
  readonly tokens: Tokens;
  readonly simulatedModels: ReadonlySet<string>;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** Sees each record after it was written. */
  readonly onRecord: (record: TrajectoryRecord) => void;
  /** The output can no longer be written: the run must stop. */
  readonly onFailure: (error: MatrixError) => void;
}

export class Sink implements Receiver {
  readonly #options: SinkOptions;
  /** Resolves when all that was received is written. */
  #written: Promise<void> = Promise.resolve();

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  receive(messages: readonly Message[]): void {
    const { clock, inFlight, simulatedModels } = this.#options;
    const endedAt = clock();
    const records: TrajectoryRecord[] = [];
    const lines: string[] = [];
    for (const message of messages) {
      if (message.kind !== "end" || !inFlight.remove(message.task)) continue;
      const record = createRecord(message.task, message.ending, endedAt, simulatedModels);
      const [line, written] = serialise(record, message.task, endedAt, simulatedModels);
      lines.push(line);
      records.push(written);
      this.#trace(message.task, written, endedAt);
    }
    if (records.length > 0) this.#written = this.#write(lines, records);
  }

  /** Waits until everything received so far is written. */
  async drain(): Promise<void> {
    await this.#written;
  }

  async #write(lines: readonly string[], records: readonly TrajectoryRecord[]): Promise<void> {
    const { append, tokens, onRecord, onFailure } = this.#options;
    const before = this.#written;
    try {
      await append(lines, countStatus(records));
      await before;
    } catch (thrown) {
      onFailure(thrown instanceof MatrixError ? thrown : new MatrixError("storage_failed", messageOf(thrown), { cause: thrown }));
      return;
    }
    for (const record of records) onRecord(record);
    tokens.give(records.length);
  }

  #trace(task: Task, record: TrajectoryRecord, endedAt: number): void {
    if (this.#options.tracing === null || task.trace === null) return;
    this.#options.tracing.endTask(task.trace, {
      rowId: task.rowId,
      trial: task.trial,
      status: record.status,
      stopReason: record.stop_reason,
      startedAt: task.admittedAt,
      endedAt,
      ...(record.error === null ? {} : { error: record.error.code }),
    });
  }
}

/** The record's line. What JSON cannot carry (a BigInt, a cycle) came from user code and makes the task a failed one. */
function serialise(
  record: TrajectoryRecord,
  task: Task,
  endedAt: number,
  simulatedModels: ReadonlySet<string>,
): readonly [line: string, record: TrajectoryRecord] {
  try {
    return [JSON.stringify(record), record];
  } catch (cause) {
    const error = { code: "agent_failed", message: `a result is no JSON: ${messageOf(cause)}`, role: null, hop: null };
    const failed = failTask({ ...task, history: [] }, error);
    if (failed.kind !== "end") throw cause;
    const without = createRecord(failed.task, failed.ending, endedAt, simulatedModels);
    return [JSON.stringify(without), without];
  }
}

function countStatus(records: readonly TrajectoryRecord[]): Counts {
  const counts = { ok: 0, failed: 0, lost: 0 };
  for (const record of records) counts[record.status]++;
  return counts;
}
