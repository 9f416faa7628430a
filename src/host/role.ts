// A role on a host: its agent, its queue and its slots. A step waits here until a slot is free.
// Roles never wait for each other.

import Queue from "yocto-queue";
import type { Agent } from "../agent/contract.ts";
import type { Task } from "../task/task.ts";

export interface RoleOptions {
  readonly name: string;
  readonly agent: Agent;
  /** Number of slots: steps that run at once. */
  readonly concurrency: number;
  /** Longest time of one try of a step. */
  readonly timeoutMs: number;
  /** Tries of a step after its first. */
  readonly retries: number;
}

interface Waiting {
  readonly task: Task;
  readonly arrivedAt: number;
}

export class Role {
  readonly name: string;
  readonly agent: Agent;
  readonly slots: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly #queue = new Queue<Waiting>();
  #busy = 0;
  /**
   * True while the host starts waiting steps. Without it, agents that answer at once would make the
   * host recurse.
   */
  draining = false;

  constructor({ name, agent, concurrency, timeoutMs, retries }: RoleOptions) {
    this.name = name;
    this.agent = agent;
    this.slots = concurrency;
    this.timeoutMs = timeoutMs;
    this.retries = retries;
  }

  get busy(): number {
    return this.#busy;
  }

  get queued(): number {
    return this.#queue.size;
  }

  push(task: Task, arrivedAt: number): void {
    this.#queue.enqueue({ task, arrivedAt });
  }

  /**
   * Takes the task that has waited longest, and a slot for it. Undefined when no task waits or no
   * slot is free.
   */
  take(): Waiting | undefined {
    if (this.#busy >= this.slots) return undefined;
    const waiting = this.#queue.dequeue();
    if (waiting !== undefined) this.#busy++;
    return waiting;
  }

  /** Takes out of the queue the tasks for which `isOver` holds. */
  takeOver(isOver: (task: Task) => boolean): Waiting[] {
    const all = [...this.#queue];
    const over = all.filter(({ task }) => isOver(task));
    if (over.length === 0) return over;
    this.#queue.clear();
    const gone = new Set(over);
    for (const waiting of all) if (!gone.has(waiting)) this.#queue.enqueue(waiting);
    return over;
  }

  release(): void {
    this.#busy--;
  }

  /** Takes every waiting task out of the queue. */
  takeWaiting(): Task[] {
    const waiting = [...this.#queue].map(({ task }) => task);
    this.#queue.clear();
    return waiting;
  }
}
