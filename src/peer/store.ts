// The store: the parts of tasks that a process has seen before they went on to others. A task that
// comes back brings only its new part; the rest is taken from here. So traffic grows with new
// content, not with the square of the history.
//
// The store is only a cache. A sender has the whole task, and sends all of it to a receiver that
// has dropped its part. So a crash loses no content, and a host may leave at any time.

import { EncodedTask } from "../task/encoded.ts";
import type { HostId } from "./member.ts";
import { keyOf, type Parcel, type TaskKey } from "./parcel.ts";

/** The part of a task that a process knows: its row, and its history up to the mark. */
export interface Known {
  readonly mark: number;
  readonly row: Uint8Array;
  readonly history: Uint8Array;
}

/** Estimated size of an entry beyond its bytes: the key, the map and the views. */
const ENTRY_BYTES = 300;

export class Store {
  readonly #bytesMax: number;
  /** In the order in which they were kept, the oldest first. */
  readonly #known = new Map<TaskKey, Known>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  keep(task: TaskKey, known: Known): void {
    this.forget(task);
    this.#known.set(task, known);
    this.#bytes += sizeOf(known);
    for (const oldest of this.#known.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.forget(oldest);
    }
  }

  /** The known part of the task; null when it ends at another mark, or nothing is known. */
  find(task: TaskKey, mark: number): Known | null {
    const known = this.#known.get(task);
    return known?.mark === mark ? known : null;
  }

  forget(task: TaskKey): void {
    const known = this.#known.get(task);
    if (known === undefined) return;
    this.#known.delete(task);
    this.#bytes -= sizeOf(known);
  }
}

/**
 * Keeps what this process has seen of a task that it sends, so that its peers need not send that
 * back. An end does not come back.
 */
export function keepSent(store: Store, self: HostId, { message }: Parcel): void {
  const { task } = message;
  // Any other task is encoded again each time, with another mark.
  if (!(task instanceof EncodedTask)) return;
  const key = keyOf(task);
  if (message.kind === "end") store.forget(key);
  else
    store.keep(key, {
      mark: task.markOf(self).id,
      row: task.rowBytes,
      history: task.historyBytes,
    });
}

function sizeOf({ row, history }: Known): number {
  return row.length + history.length + ENTRY_BYTES;
}
