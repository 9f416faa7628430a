// The notes that a process takes for the driver's census (src/driver/census.ts): every task that is
// or comes into its custody from the first question to the second. A task that leaves meanwhile
// stays noted, so a task that moves is noted by at least one of two processes.

import type { Message } from "../task/task.ts";
import { attemptOf, type TaskKey } from "./parcel.ts";

interface InCustody {
  readonly key: TaskKey;
  readonly message: Message;
  readonly position: number;
}

export class CensusNotes {
  /** The last census; its notes are open until they are collected. */
  #census: {
    readonly number: number;
    readonly attempts: Map<TaskKey, number>;
    isOpen: boolean;
  } | null = null;

  /** Begins with what is in custody now. The driver may ask again; then the notes go on. */
  begin(number: number, custody: Iterable<InCustody>): void {
    if (this.#census?.number === number) return;
    this.#census = { number, attempts: new Map(), isOpen: true };
    for (const one of custody) this.note(one);
  }

  note({ key, message, position }: InCustody): void {
    if (this.#census === null || !this.#census.isOpen) return;
    // The driver knows no branches: the task that waits for them stands for them.
    if (message.task.branch !== undefined) return;
    const { attempts } = this.#census;
    attempts.set(key, Math.max(attempts.get(key) ?? 0, attemptOf(position)));
  }

  /** Each noted task with its latest attempt; null when this census never began here. */
  collect(number: number): ReadonlyMap<TaskKey, number> | null {
    if (this.#census?.number !== number) return null;
    this.#census.isOpen = false;
    return this.#census.attempts;
  }
}
