// How a message gets on: a step to a host of the task's role, an end to the sink. The sender gives and forgets.

import type { Message, Task } from "../task/task.ts";

export interface Transport {
  /** `done`: the task as the step got it that this came of; null for the first message of a row. */
  send(message: Message, done: Task | null): void;
}

/** What a host sends by: it may send tasks out in branches. */
export interface HostTransport extends Transport {
  /** The process, as others know it: where the ends of its branches come back to. */
  readonly self: string;
  /** Nothing more is to be done for this branch: its end has arrived, or nobody waits for it any more. */
  settle(branch: Task): void;
}

/** Who takes messages: a host, or the sink. A batch is what arrived in one turn of the event loop. */
export interface Receiver {
  receive(messages: readonly Message[]): void;
}
