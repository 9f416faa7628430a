// How a message gets on: a step to a host of the task's role, an end to the sink. The sender gives and forgets.

import type { Message, Task } from "../task/task.ts";

export interface Transport {
  /** `done`: the task as the step got it that this came of; null for the first message of a row. */
  send(message: Message, done: Task | null): void;
}

/** Who takes messages: a host, or the sink. A batch is what arrived in one turn of the event loop. */
export interface Receiver {
  receive(messages: readonly Message[]): void;
}
