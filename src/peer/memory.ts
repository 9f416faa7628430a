// The in-memory transport: one host and the sink in one process. Messages are the ones that a network would carry, batched
// per turn of the event loop as there.

import type { Message } from "../task/task.ts";
import type { Receiver, Transport } from "./transport.ts";
import { Turns } from "./turns.ts";

export class MemoryTransport implements Transport {
  readonly #turns: Turns;

  constructor(connect: (transport: Transport) => { readonly host: Receiver; readonly sink: Receiver }) {
    const { host, sink } = connect(this);
    this.#turns = new Turns((messages) => {
      const steps: Message[] = [];
      const ends: Message[] = [];
      for (const message of messages) (message.kind === "end" ? ends : steps).push(message);
      if (ends.length > 0) sink.receive(ends);
      if (steps.length > 0) host.receive(steps);
    });
  }

  send(message: Message): void {
    this.#turns.push(message);
  }
}
