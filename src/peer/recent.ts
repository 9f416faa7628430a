// How far each task was seen to be, for as long as a copy of an older message may still come. Two generations: what was not
// touched for a whole one is forgotten, so the size follows the traffic of the last minutes and not the length of the run.

export class Recent<K> {
  readonly #generationMs: number;
  #young = new Map<K, number>();
  #old = new Map<K, number>();
  #turnedAt: number;

  constructor(generationMs: number, now: number) {
    this.#generationMs = generationMs;
    this.#turnedAt = now;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: K): number | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: K, value: number): void {
    this.#young.set(key, value);
  }

  turn(now: number): void {
    if (now - this.#turnedAt < this.#generationMs) return;
    this.#turnedAt = now;
    this.#old = this.#young;
    this.#young = new Map();
  }
}
