// The furthest position at which each task was seen, kept while a copy of an older message may
// still arrive. There are two generations: a task that was not touched during a whole one is
// forgotten. So the size follows the traffic of the last minute, not the length of the run.

export class Recent<K> {
  readonly #generationMs: number;
  #young = new Map<K, number>();
  #old = new Map<K, number>();
  #turnedAt: number;

  constructor(generationMs: number, now: number) {
    this.#generationMs = generationMs;
    this.#turnedAt = now;
  }

  get(key: K): number | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: K, value: number): void {
    this.#young.set(key, value);
  }

  /** Begins a new generation when it is due. The caller calls it now and then. */
  turn(now: number): void {
    if (now - this.#turnedAt < this.#generationMs) return;
    this.#turnedAt = now;
    this.#old = this.#young;
    this.#young = new Map();
  }
}
