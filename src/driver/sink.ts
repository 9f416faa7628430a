// The sink: the last hop. It takes the first end of each task, writes its record, and only then gives the token back, so
// whatever a killed process loses was not counted.

import { MatrixError, messageOf } from "../error.ts";
import { failTask } from "../orchestrator/advance.ts";
import { keyOf, type TaskKey } from "../peer/parcel.ts";
import type { Receiver } from "../peer/transport.ts";
import type { Clock } from "../task/clock.ts";
import { hopCount } from "../task/encoded.ts";
import { createHead, encodeRecord, type RecordHead, type RecordLine, type Times } from "../task/record.ts";
import type { Ending, Message, Task } from "../task/task.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { InFlight, InFlightTask } from "./in-flight.ts";
import type { Tokens } from "./tokens.ts";

export type Counts = Readonly<Record<Ending["status"], number>>;

export interface SinkOptions {
  /** Resolves when the kernel has the lines. */
  readonly append: (lines: readonly RecordLine[], counts: Counts) => Promise<void>;
  readonly inFlight: InFlight;
  readonly tokens: Tokens;
  readonly delivery: "retry" | "at-most-once";
  /** Starts of one row before what it lost counts as its failure. */
  readonly maxAttempts: number;
  /** A task that ended without its sandbox, and with what it kept there: its row can start again. */
  readonly onStateLost: (key: TaskKey, task: InFlightTask) => void;
  readonly simulatedModels: ReadonlySet<string>;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** Ends of which the records are written, and ends of tasks that were recorded before. */
  readonly onWritten: (ends: readonly Message[]) => void;
  /** Sees each record after it was written. */
  readonly onRecord: (record: RecordHead, hops: number) => void;
  /** The output can no longer be written: the run must stop. */
  readonly onFailure: (error: MatrixError) => void;
}

/** Codes of ends that say nothing about the task: what ran it is gone, or an older life of it was turned away. */
const STATE_LOST: ReadonlySet<string> = new Set(["sandbox_lost", "sandbox_unavailable", "sandbox_fenced"]);

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
    const { clock, inFlight, simulatedModels } = this.#options;
    const endedAt = clock();
    const records: Accounted[] = [];
    const lines: RecordLine[] = [];
    const written: Message[] = [];
    const again: Message[] = [];
    const lost: InFlightTask[] = [];
    for (const message of messages) {
      if (message.kind !== "end") throw new Error(`bug: a step for ${message.task.role} reached the sink`);
      const restart = this.#restartOf(message);
      if (restart !== "none") {
        // This life of the task is over, and its hosts may forget it.
        again.push(message);
        if (restart !== "newer") lost.push(restart);
        continue;
      }
      const known = inFlight.remove(message.task);
      if (known === null) {
        again.push(message);
        continue;
      }
      written.push(message);
      const { task, ending } = message;
      // Hosts have clocks of their own: the time of admission is the driver's, where it knows it.
      const times = { admittedAt: known.admitted?.admittedAt ?? task.admittedAt, endedAt };
      const [line, record] = serialise(task, createHead(task, ending, times, simulatedModels), times);
      lines.push(line);
      records.push({ record, hops: hopCount(task) });
      this.#trace(task, record, times);
    }
    if (again.length > 0) this.#options.onWritten(again);
    for (const task of lost) if (task.admitted !== null) this.#options.onStateLost(keyOf(task.admitted), task);
    if (records.length > 0) this.#written = this.#write(lines, records, written);
  }

  /** Whose row starts again after this end; `newer` when a later attempt of it runs already, `none` when it is to be recorded. */
  #restartOf({ task, ...message }: Message): InFlightTask | "newer" | "none" {
    const { inFlight, delivery, maxAttempts } = this.#options;
    const code = message.kind === "end" ? message.ending.error?.code : undefined;
    if (code === undefined || !STATE_LOST.has(code) || delivery !== "retry") return "none";
    const known = inFlight.get(keyOf(task));
    if (known === undefined || known.admitted === null) return "none";
    if (task.attempt < known.attempt) return "newer";
    return known.attempt >= maxAttempts ? "none" : known;
  }

  async #write(lines: readonly RecordLine[], records: readonly Accounted[], ends: readonly Message[]): Promise<void> {
    const { append, tokens, onRecord, onWritten, onFailure } = this.#options;
    const before = this.#written;
    try {
      await append(lines, countStatus(records));
      await before;
    } catch (thrown) {
      onFailure(thrown instanceof MatrixError ? thrown : new MatrixError("storage_failed", messageOf(thrown), { cause: thrown }));
      return;
    }
    onWritten(ends);
    for (const { record, hops } of records) onRecord(record, hops);
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
function serialise(task: Task, record: RecordHead, times: Times): readonly [line: RecordLine, record: RecordHead] {
  try {
    return [encodeRecord(record, task), record];
  } catch (cause) {
    const error = { code: "agent_failed", message: `a result is no JSON: ${messageOf(cause)}`, role: null, hop: null };
    const failed = failTask({ ...task, history: [] }, error);
    if (failed.kind !== "end") throw cause;
    const without = createHead(failed.task, failed.ending, times, new Set());
    return [encodeRecord(without, failed.task), without];
  }
}

function countStatus(records: readonly Accounted[]): Counts {
  const counts = { ok: 0, failed: 0, lost: 0 };
  for (const { record } of records) counts[record.status]++;
  return counts;
}
