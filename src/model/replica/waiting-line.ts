// Items that wait for a place at one of several replicas, in a queue for each preferred replica. A
// replica with a free place takes first what prefers it, so that tasks keep their replica even when
// all replicas are full.

import Queue from "yocto-queue";

export class WaitingLine<K, T extends { readonly isOver: boolean }> {
  readonly #queues = new Map<K, Queue<{ readonly number: number; readonly item: T }>>();
  #next = 0;

  /** `preferred`: the replica that the item would rather have. */
  add(preferred: K, item: T): void {
    let queue = this.#queues.get(preferred);
    if (queue === undefined) {
      queue = new Queue();
      this.#queues.set(preferred, queue);
    }
    queue.enqueue({ number: this.#next++, item });
  }

  /**
   * Removes the item that has waited longest among those that prefer this replica or one that
   * cannot take any; failing these, the item that has waited longest of all.
   */
  takeFor(replica: K, canTake: (preferred: K) => boolean): T | undefined {
    const waiting = [...this.#queues.keys()]
      .map((preferred) => ({ preferred, number: this.#firstOf(preferred) }))
      .filter(({ number }) => number !== null);
    const nearest = waiting.filter(({ preferred }) => preferred === replica || !canTake(preferred));
    const first = (nearest.length > 0 ? nearest : waiting).reduce<(typeof waiting)[number] | null>(
      (a, b) => (a === null || (b.number ?? 0) < (a.number ?? 0) ? b : a),
      null,
    );
    return first === null ? undefined : this.#queues.get(first.preferred)?.dequeue()?.item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const queue of this.#queues.values())
      for (const { item } of queue) if (!item.isOver) yield item;
  }

  /**
   * The number of a queue's first item that is not over, or null. Items that are over leave the
   * queue on the way.
   */
  #firstOf(preferred: K): number | null {
    const queue = this.#queues.get(preferred);
    for (let head = queue?.peek(); head !== undefined; head = queue?.peek()) {
      if (!head.item.isOver) return head.number;
      queue?.dequeue();
    }
    this.#queues.delete(preferred);
    return null;
  }
}
