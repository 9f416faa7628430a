// One step: a task in a slot of a role, from the start of the agent until it is settled, exactly
// once.

import type { AgentContext } from "../agent/contract.ts";
import type { Task } from "../task/task.ts";
import type { Role } from "./role.ts";

export class Step implements AgentContext {
  readonly task: Task;
  readonly role: Role;
  readonly arrivedAt: number;
  readonly startedAt: number;
  settled = false;
  #controller: AbortController | null = null;
  #abortReason: Error | null = null;

  constructor(task: Task, role: Role, arrivedAt: number, startedAt: number) {
    this.task = task;
    this.role = role;
    this.arrivedAt = arrivedAt;
    this.startedAt = startedAt;
  }

  /** Created when an agent first asks for the signal; most agents never do. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#abortReason !== null) this.#controller.abort(this.#abortReason);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }
}
