// The tasks in flight, by identity: what the driver answers for until a record is written. This
// file alone decides what becomes of a task that no process holds any more. It is a pure state
// machine: it returns the message to send, and sends nothing. Where the rule decides later, it
// returns a promise of the message.
//
// A task is *admitted* with its row. A driver that goes on after another one *adopts* the tasks
// that hosts hold: it knows them by name only, until it comes to their rows. A task is *orphaned*
// when the census finds it nowhere, or when it lost its sandbox. With `delivery = "retry"` an
// orphan starts again from its row with the next attempt; with "at-most-once" it ends as lost.

import { LOST_PLACE } from "../error.ts";
import { type Admitted, type Rule, startTask } from "../orchestrator/advance.ts";
import { keyOf, parseKey, type TaskKey } from "../peer/parcel.ts";
import { type Beginning, FIRST_BEGINNING } from "../records/superseded.ts";
import type { Clock } from "../task/clock.ts";
import { failTask } from "../task/failure.ts";
import type { Later } from "../task/later.ts";
import type { EndMessage, Message, Task } from "../task/task.ts";

export interface InFlightOptions {
  readonly rule: Rule;
  readonly delivery: "retry" | "at-most-once";
  /** Most starts of a row that keeps losing its sandbox (`run.max_attempts`). */
  readonly maxAttempts: number;
  /**
   * The attempt with which a task begins, and the seeds that were given up before it. A retry
   * begins after the attempts of the records that it replaces. By default no record was replaced.
   */
  readonly beginningOf?: (rowId: string, trial: number) => Beginning;
  /**
   * The attempt with which an earlier driver sent the task out; 0 when none did. By default there
   * was no earlier driver.
   */
  readonly attemptBefore?: (rowId: string, trial: number) => number;
  readonly clock?: Clock;
}

interface Entry {
  /** Milliseconds since the epoch, from which the time of the task counts. */
  readonly since: number;
  /** Number of the latest start of the row, from 1. */
  attempt: number;
  /** The attempt from which starts of the row are counted against `maxAttempts`. */
  readonly first: number;
  /** Null until the row was read. */
  admitted: Admitted | null;
  /** True for a task that was orphaned before its row was read. */
  isOrphan: boolean;
  /** True while the rule decides about the first step: no process holds the task yet. */
  isDeciding: boolean;
}

/**
 * The state of a row that was read. `new`: the row is to be admitted. `known`: hosts hold its task,
 * or its task has ended. A message: its task was orphaned and goes on with this message.
 */
export type RowState = "new" | "known" | Later<Message>;

/**
 * The state of an end. `record`: it is the first end of its task. `stale`: it belongs to an earlier
 * start of the row and is dropped. A message: the row starts again with this message.
 */
export type EndState = "record" | "stale" | Later<Message>;

export class InFlight {
  readonly #options: InFlightOptions;
  readonly #entries = new Map<TaskKey, Entry>();
  /** Adopted tasks that ended before their row was read. */
  readonly #endedUnread = new Set<TaskKey>();

  constructor(options: InFlightOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  keys(): Iterable<TaskKey> {
    return this.#entries.keys();
  }

  has(key: TaskKey): boolean {
    return this.#entries.has(key);
  }

  /** Decides what becomes of a row before it is admitted. */
  readRow(admitted: Admitted): RowState {
    const key = keyOf(admitted);
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#endedUnread.delete(key) ? "known" : "new";
    entry.admitted = { ...admitted, attempt: entry.attempt };
    return entry.isOrphan ? this.#goOn(entry, entry.admitted) : "known";
  }

  /**
   * Adds a task of a new row and answers with its first message. A task that an earlier driver sent
   * out, and that no host holds any more, may have been begun: it is an orphan.
   */
  admit(read: Admitted): Later<Message> {
    const { delivery, attemptBefore } = this.#options;
    const before = attemptBefore?.(read.rowId, read.trial) ?? 0;
    // The record of an earlier attempt was replaced by a retry.
    const isOrphan = before >= read.attempt;
    const isLost = isOrphan && delivery === "at-most-once";
    const attempt = isOrphan ? before + (isLost ? 0 : 1) : read.attempt;
    const admitted = attempt === read.attempt ? read : { ...read, attempt };
    const entry: Entry = {
      ...{ since: admitted.admittedAt, attempt, first: attempt, admitted },
      ...{ isOrphan: false, isDeciding: false },
    };
    this.#entries.set(keyOf(read), entry);
    return isLost ? lost(admitted) : this.#start(entry, admitted);
  }

  /**
   * Adds a task that hosts hold for an earlier driver. Returns false for one that is in flight
   * already, and for an attempt whose record a retry has replaced.
   */
  adopt(key: TaskKey, attempt: number): boolean {
    const first = this.#firstAttempt(parseKey(key));
    if (this.#entries.has(key) || attempt < first) return false;
    // The earlier driver knows when the task was admitted.
    const since = this.#options.clock?.() ?? 0;
    this.#entries.set(key, {
      ...{ since, attempt, first, admitted: null },
      ...{ isOrphan: false, isDeciding: false },
    });
    return true;
  }

  /**
   * Handles a task that no process holds. Returns the message that starts or ends it; null when the
   * task has to wait until its row is read, is about to start, or has ended meanwhile.
   */
  orphan(key: TaskKey): Later<Message> | null {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.isDeciding) return null;
    if (entry.admitted !== null) return this.#goOn(entry, entry.admitted);
    entry.isOrphan = true;
    return null;
  }

  /** Returns ends for the tasks that have been in flight since before this time, on any host. */
  overdue(before: number, message: string): EndMessage[] {
    const ends: EndMessage[] = [];
    for (const { since, admitted, attempt } of this.#entries.values()) {
      // Entries are in the order of their times.
      if (since >= before) break;
      if (admitted === null) continue;
      const task = { ...admitted, attempt, role: "", state: null, history: [] };
      ends.push(failTask(task, { code: "task_timeout", message, role: null, hop: null }));
    }
    return ends;
  }

  /** Decides what becomes of an end before it is recorded. */
  judge(end: EndMessage): EndState {
    const { delivery, maxAttempts } = this.#options;
    if (end.task.attempt < this.#firstAttempt(end.task)) return "stale";
    const lostItsPlace = LOST_PLACE.has(end.ending.error?.code ?? "");
    if (!lostItsPlace || delivery !== "retry") return "record";
    const entry = this.#entries.get(keyOf(end.task));
    if (entry === undefined || end.task.attempt - entry.first + 1 >= maxAttempts) return "record";
    // This start of the row was given up before.
    if (end.task.attempt < entry.attempt) return "stale";
    return this.orphan(keyOf(end.task)) ?? "stale";
  }

  /**
   * Takes a task out when its end is recorded. Returns its admission, or null for an end that came
   * twice.
   */
  remove(task: Pick<Task, "rowId" | "trial">): Pick<Entry, "admitted"> | null {
    const key = keyOf(task);
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#entries.delete(key);
    if (entry.admitted === null) this.#endedUnread.add(key);
    return entry;
  }

  #firstAttempt({ rowId, trial }: Pick<Task, "rowId" | "trial">): number {
    return (this.#options.beginningOf?.(rowId, trial) ?? FIRST_BEGINNING).attempt;
  }

  #goOn(entry: Entry, admitted: Admitted): Later<Message> {
    entry.isOrphan = false;
    if (this.#options.delivery === "at-most-once") return lost(admitted);
    entry.attempt++;
    entry.admitted = { ...admitted, attempt: entry.attempt };
    return this.#start(entry, entry.admitted);
  }

  #start(entry: Entry, admitted: Admitted): Later<Message> {
    const message = startTask(this.#options.rule, admitted);
    if (!(message instanceof Promise)) return message;
    entry.isDeciding = true;
    return message.then((decided) => {
      entry.isDeciding = false;
      return decided;
    });
  }
}

function lost(admitted: Admitted): EndMessage {
  const message = "the host that held this task died (run.delivery)";
  const task = { ...admitted, role: "", state: null, history: [] };
  const end = failTask(task, { code: "host_lost", message, role: null, hop: null });
  return { ...end, ending: { ...end.ending, status: "lost", stopReason: "lost" } };
}
