// The store: what a process has seen of tasks that went on to others. A task that comes back brings only what is new since
// it left; the rest is taken from here. So traffic grows with new content, not with the square of the history.
//
// It is a cache and no more: whoever sends a task has all of it, and sends all of it when the receiver has let go of its part.
// So a crash costs no content, and a host that leaves owes nobody anything.

/** What a process knows of a task: its row, and its history up to the mark. */
export interface Known {
  readonly mark: number;
  readonly row: Uint8Array;
  readonly history: Uint8Array;
}

/** What an entry takes beside its bytes: the key, the map and the views. An estimate. */
const ENTRY_BYTES = 300;

export class Store {
  readonly #bytesMax: number;
  /** From the longest untouched to the latest. */
  readonly #known = new Map<string, Known>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  keep(task: string, known: Known): void {
    this.forget(task);
    this.#known.set(task, known);
    this.#bytes += sizeOf(known);
    for (const oldest of this.#known.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.forget(oldest);
    }
  }

  /** What is known of the task up to this mark; null when it is another, or none. */
  find(task: string, mark: number): Known | null {
    const known = this.#known.get(task);
    return known?.mark === mark ? known : null;
  }

  forget(task: string): void {
    const known = this.#known.get(task);
    if (known === undefined) return;
    this.#known.delete(task);
    this.#bytes -= sizeOf(known);
  }
}

function sizeOf({ row, history }: Known): number {
  return row.length + history.length + ENTRY_BYTES;
}
