// How a message gets on: a step to a host of the task's role, an end to the sink. The sender gives and forgets.

import type { Message } from "../task/task.ts";

export interface Transport {
  send(message: Message): void;
}

/** Who takes messages: a host, or the sink. A batch is what arrived in one turn of the event loop. */
export interface Receiver {
  receive(messages: readonly Message[]): void;
}
