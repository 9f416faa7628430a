// The in-memory transport: one host and the sink in one process. Messages are the ones that a network would carry, batched
// per turn of the event loop as there, so that agents that answer at once never starve timers, sockets and the writer.

import type { Message } from "../task/task.ts";
import type { Receiver, Transport } from "./transport.ts";

/** Messages handed over in one turn. More would make everything else wait, and ten thousand tasks move in step. */
const TURN_MESSAGES_MAX = 256;

export class MemoryTransport implements Transport {
  readonly #host: Receiver;
  readonly #sink: Receiver;
  #pending: Message[] = [];
  /** How many of the pending ones were handed over. */
  #taken = 0;
  #scheduled = false;

  constructor(connect: (transport: Transport) => { readonly host: Receiver; readonly sink: Receiver }) {
    const { host, sink } = connect(this);
    this.#host = host;
    this.#sink = sink;
  }

  send(message: Message): void {
    this.#pending.push(message);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#deliver);
  }

  readonly #deliver = (): void => {
    const steps: Message[] = [];
    const ends: Message[] = [];
    for (const message of this.#takeTurn()) (message.kind === "end" ? ends : steps).push(message);
    if (ends.length > 0) this.#sink.receive(ends);
    if (steps.length > 0) this.#host.receive(steps);
    this.#scheduled = this.#pending.length > 0;
    if (this.#scheduled) setImmediate(this.#deliver);
  };

  /** The oldest messages, in order. */
  #takeTurn(): readonly Message[] {
    const turn = this.#pending.slice(this.#taken, this.#taken + TURN_MESSAGES_MAX);
    this.#taken += turn.length;
    // Moving the rest up costs its length, so it is done once a round and not once a turn.
    if (this.#taken * 2 >= this.#pending.length) {
      this.#pending = this.#pending.slice(this.#taken);
      this.#taken = 0;
    }
    return turn;
  }
}
