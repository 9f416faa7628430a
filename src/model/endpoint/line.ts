// Who waits for a place at a replica: a queue for each replica, of those whose own it is. One that comes free takes its own first,
// so that tasks stay where they are also when all replicas are full.

import Queue from "yocto-queue";

export class Line<K, T extends { readonly isOver: boolean }> {
  readonly #queues = new Map<K, Queue<{ readonly number: number; readonly item: T }>>();
  #next = 0;

  add(key: K, item: T): void {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new Queue();
      this.#queues.set(key, queue);
    }
    queue.enqueue({ number: this.#next++, item });
  }

  /** Takes the longest waiting of its own and of those whose own cannot take any; else the longest waiting of all. */
  takeFor(key: K, canTake: (key: K) => boolean): T | undefined {
    const waiting = [...this.#queues.keys()]
      .map((own) => ({ own, number: this.#firstOf(own) }))
      .filter(({ number }) => number !== null);
    const nearest = waiting.filter(({ own }) => own === key || !canTake(own));
    const first = (nearest.length > 0 ? nearest : waiting).reduce<(typeof waiting)[number] | null>(
      (a, b) => (a === null || (b.number ?? 0) < (a.number ?? 0) ? b : a),
      null,
    );
    return first === null ? undefined : this.#queues.get(first.own)?.dequeue()?.item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const queue of this.#queues.values())
      for (const { item } of queue) if (!item.isOver) yield item;
  }

  /** The number of a queue's head; null when it is empty. Those that are over leave on the way. */
  #firstOf(key: K): number | null {
    const queue = this.#queues.get(key);
    for (let head = queue?.peek(); head !== undefined; head = queue?.peek()) {
      if (!head.item.isOver) return head.number;
      queue?.dequeue();
    }
    this.#queues.delete(key);
    return null;
  }
}
