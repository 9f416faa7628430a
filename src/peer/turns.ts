// Messages handed over a bounded number at a time, one lot a turn of the event loop: agents that answer at once never starve
// timers, sockets and the writer, and a chain of them never becomes a recursion.

import type { Message } from "../task/task.ts";

/** More would make everything else wait, and ten thousand tasks move in step. */
const TURN_MESSAGES_MAX = 256;

export class Turns {
  readonly #take: (messages: readonly Message[]) => void;
  #pending: Message[] = [];
  /** How many of the pending ones were handed over. */
  #taken = 0;
  #scheduled = false;

  constructor(take: (messages: readonly Message[]) => void) {
    this.#take = take;
  }

  push(message: Message): void {
    this.#pending.push(message);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#take(this.#next());
    this.#scheduled = this.#pending.length > 0;
    if (this.#scheduled) setImmediate(this.#turn);
  };

  /** The oldest messages, in order. */
  #next(): readonly Message[] {
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
