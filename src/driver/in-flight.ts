// Every task in flight, by its identity: what the driver answers for until the sink has written it. It keeps what a row needs
// to start again. A driver that goes on after another knows the tasks of its hosts by name only, until it comes to their rows.

import type { Admitted } from "../orchestrator/advance.ts";
import { keyOf, type TaskKey } from "../peer/parcel.ts";
import type { Task } from "../task/task.ts";

export interface InFlightTask {
  /** Of the latest start of the row. */
  attempt: number;
  /** Null until its row was read. */
  admitted: Admitted | null;
  /** Nobody has it any more, and its row was not read yet. */
  isMissing: boolean;
}

export class InFlight {
  readonly #tasks = new Map<TaskKey, InFlightTask>();
  /** Adopted tasks that were over before their row was read. */
  readonly #overUnread = new Set<TaskKey>();

  get size(): number {
    return this.#tasks.size;
  }

  keys(): Iterable<TaskKey> {
    return this.#tasks.keys();
  }

  get(key: TaskKey): InFlightTask | undefined {
    return this.#tasks.get(key);
  }

  add(admitted: Admitted): void {
    this.#tasks.set(keyOf(admitted), { attempt: admitted.attempt, admitted, isMissing: false });
  }

  /** A task that hosts hold for a driver that is gone. */
  adopt(key: TaskKey, attempt: number): void {
    this.#tasks.set(key, { attempt, admitted: null, isMissing: false });
  }

  /** Null when the task was not in flight: a result that came twice. */
  remove(task: Pick<Task, "rowId" | "trial">): InFlightTask | null {
    const key = keyOf(task);
    const known = this.#tasks.get(key) ?? null;
    this.#tasks.delete(key);
    if (known?.admitted === null) this.#overUnread.add(key);
    return known;
  }

  /** Whether the row that is read now belongs to an adopted task that is over. */
  wasOverUnread(key: TaskKey): boolean {
    return this.#overUnread.delete(key);
  }
}
