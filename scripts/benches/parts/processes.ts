// Peak resident memory and processor time of processes and their descendants, sampled from /proc.

import { readdirSync, readFileSync } from "node:fs";

const SAMPLE_EVERY_MS = 50;
const DESCENDANTS_EVERY_MS = 500;
/** USER_HZ, the same on every Linux that Bun runs on. */
const TICK_MS = 10;

export interface Used {
  readonly peakBytes: number;
  readonly cpuMs: number;
}

/**
 * Samples until it is stopped. Processes may start and end meanwhile; the last sample of a process
 * that ended is kept.
 */
export class ProcessWatch {
  readonly #used = new Map<number, Used>();
  readonly #timers: readonly NodeJS.Timeout[];

  constructor(roots: readonly number[]) {
    let pids: ReadonlySet<number> = new Set(roots);
    const look = (): void => {
      pids = withDescendants(roots);
    };
    const sample = (): void => {
      for (const pid of pids) this.#sample(pid);
    };
    this.#timers = [setInterval(look, DESCENDANTS_EVERY_MS), setInterval(sample, SAMPLE_EVERY_MS)];
  }

  /** Stops and returns the use of each process, by pid. */
  stop(): ReadonlyMap<number, Used> {
    for (const timer of this.#timers) clearInterval(timer);
    return this.#used;
  }

  #sample(pid: number): void {
    const peakKb = Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
    const [, , , , , , , , , , , user, system] = statOf(pid);
    if (peakKb > 0)
      this.#used.set(pid, {
        peakBytes: peakKb * 1024,
        cpuMs: (Number(user) + Number(system)) * TICK_MS,
      });
  }
}

export function addUsed(used: Iterable<Used>): Used {
  let peakBytes = 0;
  let cpuMs = 0;
  for (const one of used) {
    peakBytes += one.peakBytes;
    cpuMs += one.cpuMs;
  }
  return { peakBytes, cpuMs };
}

function withDescendants(roots: readonly number[]): ReadonlySet<number> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statOf(pid)[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = new Set(roots);
  for (const pid of found) for (const child of children.get(pid) ?? []) found.add(child);
  return found;
}

/**
 * The fields of /proc/PID/stat (proc(5)) from the third, the state. The second is the name in
 * parentheses, which may hold spaces and parentheses itself.
 */
function statOf(pid: number): readonly string[] {
  return read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
}

/** Empty when the process has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
