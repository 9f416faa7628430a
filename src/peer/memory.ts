// The in-memory transport: one host and the sink in one process. Messages are the ones that a network would carry, batched
// per turn of the event loop as there.

import type { Message } from "../task/task.ts";
import type { HostTransport, Receiver } from "./transport.ts";
import { Turns } from "./turns.ts";

export class MemoryTransport implements HostTransport {
  readonly self = "here";
  readonly #turns: Turns;

  constructor(
    connect: (transport: HostTransport) => { readonly host: Receiver; readonly sink: Receiver },
  ) {
    const { host, sink } = connect(this);
    this.#turns = new Turns((messages) => {
      const steps: Message[] = [];
      const ends: Message[] = [];
      // The end of a branch goes to who waits for it, the host.
      for (const message of messages)
        (message.kind === "end" && message.task.branch === undefined ? ends : steps).push(message);
      if (ends.length > 0) sink.receive(ends);
      if (steps.length > 0) host.receive(steps);
    });
  }

  send(message: Message): void {
    this.#turns.push(message);
  }

  settle(): void {}
}
