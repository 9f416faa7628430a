// The sink: the last hop. It takes the first end of each task and writes its record, and only then
// gives the token back. So a killed process loses nothing that was counted.

import { type ErrorCode, MatrixError, messageOf } from "../error.ts";
import { maskedJson, maskedJsonBytes } from "../known-secrets.ts";
import type { Recorded } from "../records/index/entry-table.ts";
import type { Clock } from "../task/clock.ts";
import { isTooDeep } from "../task/depth.ts";
import { hopCount, modelsOf } from "../task/encoded.ts";
import { failTask } from "../task/failure.ts";
import { isJsonObject } from "../task/json.ts";
import {
  createHead,
  encodeRecord,
  isTooLong,
  RECORD_BYTES_MAX,
  type RecordHead,
  type RecordLine,
  type Times,
} from "../task/record.ts";
import type { EndMessage, Task } from "../task/task.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { isSpoilt } from "./arrived-record.ts";
import type { Arrived, EarlyStop } from "./early-stop.ts";
import type { InFlight } from "./in-flight.ts";
import type { Tokens } from "./tokens.ts";

/** Keeps the records. The run implements it with its run directory and its books. */
export interface RecordKeeper {
  /** Resolves when the kernel has the lines, one for each record. */
  append(lines: readonly RecordLine[], records: readonly Recorded[]): Promise<void>;
  /** Called with each record after it was written. */
  wrote(record: RecordHead, hops: number, task: Task): void;
  /** Called with a task that has ended and is not recorded, or not yet. */
  heldBack(task: Pick<Task, "rowId" | "trial">): void;
  /**
   * Resolves when the tokens of the written tasks may be given back; null when they may at once.
   */
  hold(): Promise<void> | null;
}

export interface SinkOptions {
  readonly keeper: RecordKeeper;
  readonly inFlight: InFlight;
  readonly earlyStop: EarlyStop;
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly tracing: Tracing | null;
  /** Tells processes to drop these ends, because they are recorded. */
  readonly release: (ends: readonly EndMessage[]) => void;
  /** Stops the run when its output can no longer be written. */
  readonly fail: (error: MatrixError) => void;
}

interface Accounted extends Recorded {
  readonly head: RecordHead;
  readonly task: Task;
}

export class Sink {
  readonly #options: SinkOptions;
  /** Resolves when every received end is written. */
  #written: Promise<void> = Promise.resolve();

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  receive(ends: readonly EndMessage[]): void {
    const { clock, earlyStop, inFlight, release } = this.#options;
    const endedAt = clock();
    const record: Arrived[] = [];
    const doubled: EndMessage[] = [];
    for (const end of ends) {
      const known = inFlight.remove(end.task);
      if (known === null) {
        doubled.push(end);
        continue;
      }
      // Clocks of hosts differ, so the driver's time of admission is used when it is known.
      const admittedAt = known.admitted?.admittedAt ?? end.task.admittedAt;
      const arrived = { end, times: { admittedAt, endedAt } };
      const now = earlyStop.take(arrived, inFlight.size);
      this.#takeBack(now.filter((one) => one !== arrived));
      if (!now.includes(arrived)) this.#holdBack(end);
      for (const one of now) record.push(one);
    }
    if (doubled.length > 0) release(doubled);
    if (record.length > 0) this.#written = this.#write(record);
  }

  /** Records the ends that are still held, unless the run stops for them. */
  finish(): void {
    const record = this.#options.earlyStop.finish();
    this.#takeBack(record);
    if (record.length > 0) this.#written = this.#write(record);
  }

  /**
   * An end that is not recorded, or not yet, leaves nothing behind in any process, and has no
   * token: the run has to find out whether further tasks end alike.
   */
  #holdBack(end: EndMessage): void {
    const { keeper, tokens, release } = this.#options;
    release([end]);
    keeper.heldBack(end.task);
    tokens.give(1);
  }

  /** Takes tokens again for held ends that are recorded after all. */
  #takeBack(held: readonly Arrived[]): void {
    for (const _ of held) this.#options.tokens.takeAnyway();
  }

  async #write(arrived: readonly Arrived[]): Promise<void> {
    const { keeper, tokens, release, fail } = this.#options;
    const before = this.#written;
    const records: Accounted[] = [];
    const lines: RecordLine[] = [];
    for (const { end, times } of arrived) {
      const { task, ending } = end;
      const [line, record] = lineOf(end, createHead(task, ending, times), times);
      lines.push(maskedRecord(line, record));
      records.push({ head: record, hops: hopCount(task), models: modelsOf(task), task });
      this.#trace(task, record, times);
    }
    try {
      await keeper.append(lines, records);
      await before;
    } catch (thrown) {
      fail(toStorageError(thrown));
      return;
    }
    release(arrived.map(({ end }) => end));
    for (const { head, hops, task } of records) keeper.wrote(head, hops, task);
    const held = keeper.hold();
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

/** The line of a record. It never has bytes that a host has spoilt. */
function lineOf(
  end: EndMessage,
  head: RecordHead,
  times: Times,
): readonly [RecordLine, RecordHead] {
  const { task, ending } = end;
  if (!isSpoilt(end) || ending.error === null) return serialise(task, head, times);
  const plain = { ...task, row: rowOf(task), history: [] };
  return recordFailure(plain, "wire_invalid", ending.error.message, times);
}

/**
 * The record and its line. A value that JSON cannot carry (a cycle) came from user code and makes
 * the task a failed one, and so does a line that no reader could hold.
 */
function serialise(
  task: Task,
  record: RecordHead,
  times: Times,
): readonly [line: RecordLine, record: RecordHead] {
  try {
    const line = encodeRecord(record, task);
    if (!isTooLong(line)) return [line, record];
    const message = `the record is larger than ${RECORD_BYTES_MAX / 2 ** 20} MiB`;
    return recordFailure({ ...task, row: {}, history: [] }, "task_too_large", message, times);
  } catch (cause) {
    const message = `a result is not JSON: ${messageOf(cause)}`;
    return recordFailure({ ...task, history: [] }, "agent_failed", message, times);
  }
}

/** The row, or an empty one where a host has spoilt it. */
function rowOf(task: Task): Task["row"] {
  try {
    return isTooDeep(task.row) || !isJsonObject(task.row) ? {} : task.row;
  } catch {
    return {};
  }
}

function recordFailure(
  task: Task,
  code: ErrorCode,
  message: string,
  times: Times,
): readonly [line: RecordLine, record: RecordHead] {
  const failed = failTask(task, { code, message, role: null, hop: null });
  const record = createHead(failed.task, failed.ending, times);
  return [encodeRecord(record, failed.task), record];
}

/** The line without known secrets. The id of the row stays, because a continued run finds it. */
function maskedRecord(line: RecordLine, { format, id }: RecordHead): RecordLine {
  const from = JSON.stringify({ format, id }).length - 1;
  return line.map((part, index) =>
    typeof part === "string" ? maskedJson(part, index === 0 ? from : 0) : maskedJsonBytes(part),
  );
}

function toStorageError(thrown: unknown): MatrixError {
  if (thrown instanceof MatrixError) return thrown;
  return new MatrixError("storage_failed", messageOf(thrown), { cause: thrown });
}
