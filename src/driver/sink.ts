// The sink: the last hop. It takes the first end of each task, writes its record, and only then gives the token back, so
// whatever a killed process loses was not counted.

import { MatrixError, messageOf } from "../error.ts";
import type { Receiver } from "../peer/transport.ts";
import type { Clock } from "../task/clock.ts";
import { hopCount } from "../task/encoded.ts";
import { failTask } from "../task/failure.ts";
import {
  type Counts,
  createHead,
  encodeRecord,
  type RecordHead,
  type RecordLine,
  type Times,
} from "../task/record.ts";
import type { Message, Task } from "../task/task.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { InFlight } from "./in-flight.ts";
import type { Tokens } from "./tokens.ts";

export interface SinkOptions {
  /** Resolves when the kernel has the lines. */
  readonly append: (lines: readonly RecordLine[], counts: Counts) => Promise<void>;
  readonly inFlight: InFlight;
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** Ends of which the records are written, and ends of tasks that were recorded before. */
  readonly onWritten: (ends: readonly Message[]) => void;
  /** Sees each record after it was written. */
  readonly onRecord: (record: RecordHead, hops: number) => void;
  /** After that: resolves when the places of these tasks may be given to others; null for at once. */
  readonly hold: () => Promise<void> | null;
  /** The output can no longer be written: the run must stop. */
  readonly onFailure: (error: MatrixError) => void;
}

interface Accounted {
  readonly record: RecordHead;
  readonly hops: number;
}

export class Sink implements Receiver {
  readonly #options: SinkOptions;
  /** Resolves when all that was received is written. */
  #written: Promise<void> = Promise.resolve();

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  receive(messages: readonly Message[]): void {
    const { clock, inFlight } = this.#options;
    const endedAt = clock();
    const records: Accounted[] = [];
    const lines: RecordLine[] = [];
    const written: Message[] = [];
    const again: Message[] = [];
    for (const message of messages) {
      if (message.kind !== "end")
        throw new Error(`bug: a step for ${message.task.role} reached the sink`);
      const known = inFlight.remove(message.task);
      if (known === null) {
        again.push(message);
        continue;
      }
      written.push(message);
      const { task, ending } = message;
      // Hosts have clocks of their own: the time of admission is the driver's, where it knows it.
      const times = { admittedAt: known.admitted?.admittedAt ?? task.admittedAt, endedAt };
      const [line, record] = serialise(task, createHead(task, ending, times), times);
      lines.push(line);
      records.push({ record, hops: hopCount(task) });
      this.#trace(task, record, times);
    }
    if (again.length > 0) this.#options.onWritten(again);
    if (records.length > 0) this.#written = this.#write(lines, records, written);
  }

  async #write(
    lines: readonly RecordLine[],
    records: readonly Accounted[],
    ends: readonly Message[],
  ): Promise<void> {
    const { append, tokens, onRecord, hold, onWritten, onFailure } = this.#options;
    const before = this.#written;
    try {
      await append(lines, countStatus(records));
      await before;
    } catch (thrown) {
      onFailure(
        thrown instanceof MatrixError
          ? thrown
          : new MatrixError("storage_failed", messageOf(thrown), { cause: thrown }),
      );
      return;
    }
    onWritten(ends);
    for (const { record, hops } of records) onRecord(record, hops);
    const held = hold();
    if (held !== null) await held;
    tokens.give(records.length);
  }

  #trace(task: Task, record: RecordHead, { admittedAt, endedAt }: Times): void {
    if (this.#options.tracing === null || task.trace === null) return;
    this.#options.tracing.endTask(task.trace, {
      rowId: task.rowId,
      trial: task.trial,
      status: record.status,
      stopReason: record.stop_reason,
      startedAt: admittedAt,
      endedAt,
      ...(record.error === null ? {} : { error: record.error.code }),
    });
  }
}

/** The record and its line. What JSON cannot carry (a BigInt, a cycle) came from user code and makes the task a failed one. */
function serialise(
  task: Task,
  record: RecordHead,
  times: Times,
): readonly [line: RecordLine, record: RecordHead] {
  try {
    return [encodeRecord(record, task), record];
  } catch (cause) {
    const error = {
      code: "agent_failed",
      message: `a result is no JSON: ${messageOf(cause)}`,
      role: null,
      hop: null,
    };
    const failed = failTask({ ...task, history: [] }, error);
    const without = createHead(failed.task, failed.ending, times);
    return [encodeRecord(without, failed.task), without];
  }
}

function countStatus(records: readonly Accounted[]): Counts {
  const counts = { ok: 0, failed: 0, lost: 0 };
  for (const { record } of records) counts[record.status]++;
  return counts;
}
