// The transport carries each message on: a step to a host of the task's role, an end to the sink.
// The sender hands it over and forgets it.

import type { Message, Task } from "../task/task.ts";

export interface Transport {
  /** Sends a message that begins here: the first one of a row or of a branch. */
  submit(message: Message): void;
}

/** The transport of a host, which also sends out branches of tasks. */
export interface HostTransport extends Transport {
  /** The process as others know it: the ends of its branches come back to it. */
  readonly self: string;
  /**
   * Called when the step of a delivered task begins. Returns the task as the step is to see it, or
   * null when a newer copy of it has overtaken this one, so that the step would be in vain.
   */
  begin(task: Task): Task | null;
  /** Sends the message that a step made. `done` is the task as the step was given it. */
  handOn(done: Task, next: Message): void;
  /**
   * Nothing more is to be done for a branch: its end has arrived, or the task no longer waits for
   * it.
   */
  settle(branch: Task): void;
}

/**
 * Takes messages: a host, or the sink. A call brings what arrived in one turn of the event loop.
 */
export interface Receiver {
  receive(messages: readonly Message[]): void;
}
