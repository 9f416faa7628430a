// Processes of this machine that carry a mark in their environment, found through /proc: however
// they were started, and whatever their parent is by now. Without a /proc there are none.

import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { sendKill } from "./spawn.ts";

/** Environment variables by which the processes of sandboxes are known. */
export const MARK = {
  sandbox: "MATRIX_SANDBOX",
  lease: "MATRIX_LEASE",
  run: "MATRIX_SANDBOX_RUN",
  host: "MATRIX_SANDBOX_HOST",
  engine: "MATRIX_SANDBOX_ENGINE",
  image: "MATRIX_SANDBOX_IMAGE",
  startedAt: "MATRIX_SANDBOX_STARTED",
  /** Carried by one command and everything that it starts. */
  command: "MATRIX_COMMAND",
} as const;

/**
 * Shell words that take all other marks from a command of a container. They name files of this
 * machine, and no command needs them.
 */
export function keepMarks(...kept: readonly string[]): string {
  return `unset ${Object.values(MARK)
    .filter((name) => !kept.includes(name))
    .join(" ")}`;
}

/** Looks for marked processes. A process that forks during one look is found by the next. */
const LOOKS_MAX = 20;
const ROUNDS_MAX = 20;
const KILL_TIMEOUT_MS = 5000;
const HUNT_EVERY_MS = 50;

/**
 * Kills every process that has `mark` (`NAME=value`) in its environment. Returns false when some
 * could not be killed.
 */
export function killMarked(mark: string): boolean {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const pids = markedPids(mark);
    if (pids.length === 0) return true;
    for (const pid of pids) sendKill(pid);
  }
  return false;
}

/**
 * Does the same until none is left, for about a second: a process that was killed still shows its
 * environment until the kernel has ended it.
 */
export async function killAllMarked(mark: string): Promise<boolean> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (killMarked(mark)) return true;
    await pause(HUNT_EVERY_MS);
  }
  return false;
}

/**
 * Kills every process with the mark again and again until the command has ended. One look is not
 * enough: a process shows no environment while the kernel starts it. A command that survives for
 * 5 s takes its sandbox along.
 */
export async function killUntil(
  mark: string,
  ended: Promise<unknown>,
  stopSandbox: () => Promise<void>,
): Promise<void> {
  const hunt = setInterval(() => killMarked(mark), HUNT_EVERY_MS);
  const timer = setTimeout(() => void stopSandbox(), KILL_TIMEOUT_MS);
  killMarked(mark);
  await ended.catch(() => undefined);
  clearInterval(hunt);
  clearTimeout(timer);
}

/** Processes that serve a container's file systems from outside, by the name in /proc/PID/stat. */
const FILE_SERVERS = /^\((?:squashfuse|fuse|starter)/;

/**
 * Kills file servers in the session of a dead child. They have no mark, because Apptainer starts
 * them with an empty environment.
 */
export function killFileServers(session: number): void {
  for (const pid of allPids()) {
    const [, comm = "", , , , sid] = statusOf(pid);
    if (Number(sid) === session && FILE_SERVERS.test(comm)) sendKill(pid);
  }
}

/** Living processes with the mark. */
export function markedPids(mark: string): number[] {
  return allPids().filter((pid) => environmentOf(pid).includes(mark));
}

/** `NAME=value` entries of a process; none when it is gone, dead or another user's. */
export function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}

export function allPids(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/**
 * The first fields of /proc/PID/stat (proc(5)): pid, (name), state, parent, group, session. A name
 * with spaces shifts the fields, but no file server has one.
 */
function statusOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(" ", 6);
  } catch {
    return [];
  }
}
