// The identity of a process, and whether it still runs. A pid alone does not tell: it goes to
// another process one day, it means nothing on another machine, and it keeps answering to signals
// while a dead process waits for its parent to collect it.

import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Ends this process at once. User code finds another function in the place of `process.exit`. */
export const exitNow: (code: number) => never = process.exit.bind(process);

export interface ProcessId {
  readonly pid: number;
  /** Start time in ticks since boot, from /proc; null where there is no /proc. */
  readonly startTime: string | null;
}

/** Tells whether a process of this machine runs; see `machineId`. */
export function isRunning({ pid, startTime }: ProcessId): boolean {
  try {
    process.kill(pid, 0);
  } catch (cause) {
    // EPERM: the process runs, under another user.
    if ((cause as { code?: unknown }).code !== "EPERM") return false;
  }
  const stat = statOf(pid);
  if (stat === null) return startTime === null;
  return !stat.isDead && (startTime === null || startTime === stat.startTime);
}

export function startTimeOf(pid: number): string | null {
  return statOf(pid)?.startTime ?? null;
}

/** Processor time of a process of this machine; null where there is no /proc or no process. */
export function cpuMsOf(pid: number): number | null {
  const ticks = statOf(pid)?.cpuTicks;
  return ticks === undefined ? null : ticks * TICK_MS;
}

/** Names the kernel and the process namespace in which pids have their meaning. */
export function machineId(): string {
  const parts = [hostname()];
  try {
    parts.push(
      readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      readlinkSync("/proc/self/ns/pid"),
    );
  } catch {
    // Without /proc the name of the machine has to do.
  }
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 16);
}

/** Linux reports processor time in hundredths of a second on all machines (USER_HZ). */
const TICK_MS = 10;

/**
 * Fields 3, 14, 15 and 22 of /proc/PID/stat (proc(5)). The name before them may hold spaces and
 * brackets.
 */
function statOf(pid: number): {
  readonly isDead: boolean;
  readonly startTime: string;
  readonly cpuTicks: number;
} | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return {
      isDead: fields[0] === "Z" || fields[0] === "X",
      startTime: fields[19] ?? "",
      cpuTicks: Number(fields[11]) + Number(fields[12]),
    };
  } catch {
    return null;
  }
}
