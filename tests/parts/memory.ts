// The memory of other processes, read from /proc.

import { readFileSync } from "node:fs";

/** Resident bytes of a process; 0 once it has ended. NaN where the system has no /proc. */
export function residentBytes(pid: number): number {
  if (process.platform !== "linux") return Number.NaN;
  try {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}
