// Every task in flight, by its identity: what the driver answers for until the sink has written it.

import type { Task } from "../task/task.ts";

export class InFlight {
  readonly #keys = new Set<string>();

  get size(): number {
    return this.#keys.size;
  }

  add(rowId: string, trial: number): void {
    this.#keys.add(keyOf(rowId, trial));
  }

  /** False when the task was not in flight: a result that came twice. */
  remove({ rowId, trial }: Pick<Task, "rowId" | "trial">): boolean {
    return this.#keys.delete(keyOf(rowId, trial));
  }
}

function keyOf(rowId: string, trial: number): string {
  return `${trial}:${rowId}`;
}
