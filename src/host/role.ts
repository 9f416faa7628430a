// A role on a host: its agent, its queue, its slots. A step waits here until a slot is free; roles never wait for each other.

import Queue from "yocto-queue";
import type { Agent } from "../agent/contract.ts";
import type { Task } from "../task/task.ts";

export interface RoleOptions {
  readonly name: string;
  readonly agent: Agent;
  /** Slots: steps that run at once. */
  readonly concurrency: number;
  /** Of one step. */
  readonly timeoutMs: number;
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
  readonly #queue = new Queue<Waiting>();
  #busy = 0;
  /** Set by the host while it starts waiting steps, so that an agent that answers at once does not recurse. */
  draining = false;

  constructor({ name, agent, concurrency, timeoutMs }: RoleOptions) {
    this.name = name;
    this.agent = agent;
    this.slots = concurrency;
    this.timeoutMs = timeoutMs;
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

  /** The longest waiting task, with a slot taken for it; undefined when none waits or no slot is free. */
  take(): Waiting | undefined {
    if (this.#busy >= this.slots) return undefined;
    const waiting = this.#queue.dequeue();
    if (waiting !== undefined) this.#busy++;
    return waiting;
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
