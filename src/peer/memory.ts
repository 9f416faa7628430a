// The in-memory transport: one host and the sink in one process. Messages are the ones that a network would carry, batched
// per turn of the event loop as there, so that agents that answer at once never starve timers, sockets and the writer.

import type { Message } from "../task/task.ts";
import type { Receiver, Transport } from "./transport.ts";

export class MemoryTransport implements Transport {
  readonly #host: Receiver;
  readonly #sink: Receiver;
  #steps: Message[] = [];
  #ends: Message[] = [];
  #scheduled = false;

  constructor(connect: (transport: Transport) => { readonly host: Receiver; readonly sink: Receiver }) {
    const { host, sink } = connect(this);
    this.#host = host;
    this.#sink = sink;
  }

  send(message: Message): void {
    (message.kind === "end" ? this.#ends : this.#steps).push(message);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    const steps = this.#steps;
    const ends = this.#ends;
    this.#steps = [];
    this.#ends = [];
    this.#scheduled = false;
    if (ends.length > 0) this.#sink.receive(ends);
    if (steps.length > 0) this.#host.receive(steps);
  };
}
