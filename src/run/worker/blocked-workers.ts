// Finds workers whose event loop is blocked for good, by a step that never yields: the driver has
// given them up because they are silent, and they burn processor time. A process that was stopped,
// or whose machine swaps, is silent too, but burns none.

export interface LookedAt {
  /** The id of this life of the worker. */
  readonly id: string;
  readonly pid: number;
  /** True while the driver hears from it. */
  readonly isPresent: boolean;
}

/**
 * Processor time that a silent worker may burn. With the silence before it, a step may compute for
 * half a minute without a pause.
 */
const BURNED_MS_MAX = 30_000;

export class BlockedWorkers {
  readonly #cpuMsOf: (pid: number) => number | null;
  /** Processor time of each silent worker when its silence was first seen. */
  readonly #silent = new Map<string, number>();

  /** `cpuMsOf` tells the processor time of a process; null where that is not known. */
  constructor(cpuMsOf: (pid: number) => number | null) {
    this.#cpuMsOf = cpuMsOf;
  }

  /** Returns the workers that have burned too much since they fell silent. */
  look<W extends LookedAt>(workers: readonly W[]): readonly W[] {
    const ids = new Set(workers.map(({ id }) => id));
    for (const id of this.#silent.keys()) if (!ids.has(id)) this.#silent.delete(id);
    return workers.filter(({ id, pid, isPresent }) => {
      const cpuMs = isPresent ? null : this.#cpuMsOf(pid);
      if (cpuMs === null) {
        this.#silent.delete(id);
        return false;
      }
      const before = this.#silent.get(id);
      if (before === undefined) this.#silent.set(id, cpuMs);
      return before !== undefined && cpuMs - before >= BURNED_MS_MAX;
    });
  }
}
