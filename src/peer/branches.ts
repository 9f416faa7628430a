// The branches that a process sent out and waits for. It keeps each one until its end comes back.
//
// Two processes have a copy of a branch at any moment, so a branch is lost only when two processes
// have gone since it was sent out. It is then sent out again as its next attempt. If it was not
// lost, two attempts are under way, and the end that arrives first counts.

import { restartTask } from "../task/encoded.ts";
import type { Message } from "../task/task.ts";
import type { HostId } from "./member.ts";
import { keyOf, type TaskKey } from "./parcel.ts";

/** Processes that have to be gone before a branch may be lost. */
const KNOWN_TO = 2;

export class Branches {
  readonly #waiting = new Map<TaskKey, { message: Message; gone: number }>();
  #members: ReadonlySet<HostId> = new Set();
  /**
   * Branches whose ends other processes may have dropped, and the time at which they count as lost.
   */
  #doubtful: { readonly keys: readonly TaskKey[]; readonly from: number } | null = null;

  add(message: Message): void {
    this.#waiting.set(keyOf(message.task), { message, gone: 0 });
  }

  has(key: TaskKey): boolean {
    return this.#waiting.has(key);
  }

  delete(key: TaskKey): void {
    this.#waiting.delete(key);
  }

  /** Takes the current members, and returns the branches that may be lost. */
  follow(members: ReadonlySet<HostId>): readonly TaskKey[] {
    let left = 0;
    for (const id of this.#members) if (!members.has(id)) left++;
    this.#members = members;
    const lost: TaskKey[] = [];
    for (const [key, branch] of this.#waiting) {
      branch.gone += left;
      if (branch.gone >= KNOWN_TO) lost.push(key);
    }
    return lost;
  }

  /** From `from` on, every branch that still waits then may be lost. */
  doubt(from: number): void {
    this.#doubtful = { keys: [...this.#waiting.keys()], from };
  }

  /** The doubtful branches, once, when their time has come. */
  takeDoubtful(now: number): readonly TaskKey[] {
    if (this.#doubtful === null || now < this.#doubtful.from) return [];
    const { keys } = this.#doubtful;
    this.#doubtful = null;
    return keys;
  }

  /** The branch as its next attempt; null when it is no longer waited for. */
  restart(key: TaskKey): Message | null {
    const branch = this.#waiting.get(key);
    if (branch === undefined) return null;
    const { kind, task } = branch.message;
    if (kind === "end") throw new Error("bug: a branch was sent out as an end");
    branch.gone = 0;
    branch.message = { kind, task: restartTask(task) };
    return branch.message;
  }
}
