// What processes use, sampled from outside: peak resident memory and processor time, from /proc.

import { readFileSync } from "node:fs";

const SAMPLE_EVERY_MS = 50;
/** USER_HZ, the same on every Linux that Bun runs on. */
const TICK_MS = 10;

export interface Used {
  readonly peakBytes: number;
  readonly cpuMs: number;
}

/** Samples until it is stopped. The processes may change meanwhile; those that ended keep their last sample. */
export class ProcessWatch {
  readonly #used = new Map<number, Used>();
  readonly #sampling: NodeJS.Timeout;

  constructor(pids: () => readonly number[]) {
    this.#sampling = setInterval(() => {
      for (const pid of pids()) this.#sample(pid);
    }, SAMPLE_EVERY_MS);
  }

  /** What each process used, by pid. */
  stop(): ReadonlyMap<number, Used> {
    clearInterval(this.#sampling);
    return this.#used;
  }

  #sample(pid: number): void {
    try {
      const peakKb = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
      // After the name, which may hold anything, in parentheses: state, ppid, … utime and stime as fields 14 and 15 of proc(5).
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      if (peakKb > 0) this.#used.set(pid, { peakBytes: peakKb * 1024, cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS });
    } catch {
      // It has ended.
    }
  }
}
