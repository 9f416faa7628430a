// The lock of a run directory: one driver at a time, and a dead driver keeps nothing. On one machine a holder is alive when
// its process is, with the same start time; a holder on another machine is alive while it touches the file.

import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { link, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { nanoid } from "nanoid";
import { MatrixError } from "../error.ts";

const HEARTBEAT_MS = 10_000;
const FOREIGN_STALE_MS = 60_000;
const LOCK_FILE = "lock";

interface Holder {
  readonly host: string;
  /** Which kernel and which process namespace the pid belongs to. */
  readonly machine: string;
  readonly pid: number;
  /** Ticks since boot, from /proc; null where there is none. */
  readonly startTime: string | null;
  readonly since: string;
}

export interface Lock {
  release(): Promise<void>;
}

/** Fails with `run_refused` while another driver lives. */
export async function takeLock(directory: string): Promise<Lock> {
  const path = join(directory, LOCK_FILE);
  const mine = `${path}.${nanoid()}`;
  const holder = {
    host: hostname(),
    machine: machineId(),
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    since: new Date().toISOString(),
  };
  await writeFile(mine, JSON.stringify(holder));
  try {
    while (!(await claim(mine, path))) await evict(path, directory);
  } finally {
    await rm(mine, { force: true });
  }
  const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), HEARTBEAT_MS);
  heartbeat.unref();
  return {
    release: async () => {
      clearInterval(heartbeat);
      await rm(path, { force: true });
    },
  };
}

/** A hard link is made whole or not at all, also on a network file system. */
async function claim(mine: string, path: string): Promise<boolean> {
  try {
    await link(mine, path);
    return true;
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false;
    throw cause;
  }
}

/** Removes a dead driver's lock, or fails because the driver lives. */
async function evict(path: string, directory: string): Promise<void> {
  const found = await readHolder(path);
  if (found === null) return;
  if (isAlive(found.holder, found.touchedMs)) {
    const { host, pid, since } = found.holder;
    throw new MatrixError("run_refused", `another driver runs in ${directory}: process ${pid} on ${host}, since ${since}`, {
      hint: "wait for it, stop it, or choose another directory with -o",
    });
  }
  // Only one of several starters can move the dead lock away, and whoever moved a living one by accident puts it back.
  const aside = `${path}.${nanoid()}`;
  try {
    await rename(path, aside);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return;
    throw cause;
  }
  const moved = await readHolder(aside);
  if (moved !== null && moved.text !== found.text) await claim(aside, path);
  await rm(aside, { force: true });
}

async function readHolder(path: string): Promise<{ holder: Holder; text: string; touchedMs: number } | null> {
  try {
    const text = await readFile(path, "utf8");
    const { mtimeMs } = await stat(path);
    return { holder: JSON.parse(text) as Holder, text, touchedMs: mtimeMs };
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw cause;
  }
}

function isAlive({ machine, pid, startTime }: Holder, touchedMs: number): boolean {
  if (machine !== machineId()) return Date.now() - touchedMs < FOREIGN_STALE_MS;
  try {
    process.kill(pid, 0);
  } catch (cause) {
    // EPERM: it lives, under another user.
    if (codeOf(cause) !== "EPERM") return false;
  }
  // The number may have gone to another process since.
  return startTime === null || startTimeOf(pid) === startTime;
}

/** Field 22 of /proc/PID/stat (proc(5)); the name before it may hold spaces and brackets. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

function machineId(): string {
  const parts = [hostname()];
  try {
    parts.push(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(), readlinkSync("/proc/self/ns/pid"));
  } catch {
    // No /proc: the name of the machine has to do.
  }
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 16);
}

function codeOf(cause: unknown): unknown {
  return (cause as { code?: unknown }).code;
}
