// The inbox of a process hands its messages to their receiver in order, one lot in each turn of the
// event loop. So agents that answer at once never starve timers, sockets and the writer, and a
// chain of them never becomes a recursion.
//
// An inbox exists before its receiver does. It keeps what is pushed until it is started.

import type { Message } from "../task/task.ts";
import type { Receiver } from "./transport.ts";

/**
 * The most messages in one lot. With larger lots everything else would wait, and ten thousand tasks
 * would move in step.
 */
export const LOT_MESSAGES_MAX = 256;

export class Inbox {
  #receiver: Receiver | null = null;
  #pending: Message[] = [];
  /** The number of pending messages, from the front, that were handed over. */
  #taken = 0;
  #isScheduled = false;

  push(message: Message): void {
    this.#pending.push(message);
    if (!this.#isScheduled) this.#schedule();
  }

  /** Begins to hand messages over, in the next turn of the event loop. */
  start(receiver: Receiver): void {
    this.#receiver = receiver;
    if (this.#pending.length > 0) this.#schedule();
  }

  #schedule(): void {
    this.#isScheduled = this.#receiver !== null;
    if (this.#isScheduled) setImmediate(this.#handOver);
  }

  readonly #handOver = (): void => {
    this.#receiver?.receive(this.#nextLot());
    this.#isScheduled = this.#pending.length > 0;
    if (this.#isScheduled) setImmediate(this.#handOver);
  };

  /** The oldest messages, in order. */
  #nextLot(): readonly Message[] {
    const lot = this.#pending.slice(this.#taken, this.#taken + LOT_MESSAGES_MAX);
    this.#taken += lot.length;
    // Moving the rest to the front costs its length, so it happens when half of the list was handed
    // over, not for each lot.
    if (this.#taken * 2 >= this.#pending.length) {
      this.#pending = this.#pending.slice(this.#taken);
      this.#taken = 0;
    }
    return lot;
  }
}
