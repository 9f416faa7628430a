// The lock of a run directory: one driver at a time, and a dead driver does not keep it. A holder
// on this machine is alive when its process runs with the same start time. A holder on another
// machine is alive while it touches the file.
//
// The lock is the file `lock.N` with the highest N. A driver that finds it released or its holder
// dead links `lock.N+1`; only one driver can. It then holds the lock, unless a higher file exists
// already: others had moved on while it looked. The highest file is never deleted, only marked as
// released, so no number is used twice.

import { link, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { MatrixError } from "../error.ts";
import { isRunning, machineId, type ProcessId, startTimeOf } from "../process.ts";
import { randomId } from "../random-id.ts";

/** The holder touches its file this often. */
const HEARTBEAT_MS = 10_000;
/** A holder on another machine counts as dead when its file was not touched for this long. */
const FOREIGN_STALE_MS = 60_000;
const LOCK_FILE = /^lock\.(\d+)$/;

interface Holder extends ProcessId {
  readonly host: string;
  /** The machine on which `pid` means something. */
  readonly machine: string;
  readonly since: string;
  readonly released: boolean;
}

export interface Lock {
  release(): Promise<void>;
}

/** Fails with `run_refused` while another driver lives. */
export async function takeLock(directory: string, heartbeatMs = HEARTBEAT_MS): Promise<Lock> {
  const mine = join(directory, `lock.${randomId(21)}.tmp`);
  const holder: Holder = {
    host: hostname(),
    machine: machineId(),
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    since: new Date().toISOString(),
    released: false,
  };
  await writeFile(mine, JSON.stringify(holder));
  let number: number | null = null;
  try {
    while (number === null) number = await claim(mine, directory);
  } finally {
    await rm(mine, { force: true });
  }
  const path = join(directory, `lock.${number}`);
  const heartbeat = setInterval(
    () => void utimes(path, new Date(), new Date()).catch(() => undefined),
    heartbeatMs,
  );
  heartbeat.unref();
  return {
    release: async () => {
      clearInterval(heartbeat);
      try {
        await writeFile(mine, JSON.stringify({ ...holder, released: true }));
        await rename(mine, path);
      } catch {
        // A deleted directory holds no lock, and on a full disk the next driver soon sees that this
        // process is dead.
        await rm(mine, { force: true }).catch(() => undefined);
      }
    },
  };
}

/** Removes every lock file of a directory that was moved aside: no driver will run there. */
export async function clearLock(directory: string): Promise<void> {
  for (const number of await numbersIn(directory))
    await rm(join(directory, `lock.${number}`), { force: true });
}

/**
 * Returns the number under which this process holds the lock, or null when another process was
 * faster.
 */
async function claim(mine: string, directory: string): Promise<number | null> {
  const highest = Math.max(0, ...(await numbersIn(directory)));
  if (highest > 0) await refuseLiving(join(directory, `lock.${highest}`), directory);
  const number = highest + 1;
  try {
    // A hard link is made whole or not at all, also on a network file system.
    await link(mine, join(directory, `lock.${number}`));
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return null;
    throw cause;
  }
  const others = (await numbersIn(directory)).filter((other) => other !== number);
  if (others.some((other) => other > number)) {
    await rm(join(directory, `lock.${number}`), { force: true });
    return null;
  }
  for (const other of others) await rm(join(directory, `lock.${other}`), { force: true });
  return number;
}

async function numbersIn(directory: string): Promise<number[]> {
  return (await readdir(directory)).flatMap((name) => {
    const number = LOCK_FILE.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
}

async function refuseLiving(path: string, directory: string): Promise<void> {
  const found = await readHolder(path);
  if (found === null || found.holder.released || !isAlive(found.holder, found.touchedMs)) return;
  const { host, pid, since } = found.holder;
  throw new MatrixError(
    "run_refused",
    `another driver runs in ${directory}: process ${pid} on ${host}, since ${since}`,
    {
      hint: "wait for it, stop it, or choose another directory with -o",
    },
  );
}

async function readHolder(path: string): Promise<{ holder: Holder; touchedMs: number } | null> {
  try {
    const text = await readFile(path, "utf8");
    const { mtimeMs } = await stat(path);
    return { holder: JSON.parse(text) as Holder, touchedMs: mtimeMs };
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw cause;
  }
}

function isAlive(holder: Holder, touchedMs: number): boolean {
  return holder.machine === machineId()
    ? isRunning(holder)
    : Date.now() - touchedMs < FOREIGN_STALE_MS;
}

function codeOf(cause: unknown): unknown {
  return (cause as { code?: unknown }).code;
}
