// The lock of a run directory: one driver at a time, and a dead driver does not keep it. A holder
// on this machine is alive when its process runs with the same start time. A holder on another
// machine is alive while it touches the file.
//
// The lock is the file `lock.N` with the highest N. A driver that finds it released or its holder
// dead links `lock.N+1`; only one driver can. It then holds the lock, unless a higher file exists
// already: others had moved on while it looked. The highest file is never deleted, only marked as
// released, so no number is used twice.

import { link, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile, syncFolder } from "../durable-file.ts";
import { MatrixError } from "../error.ts";
import { randomId } from "../random-id.ts";
import { HeldLock, type Lock, lockNumbers } from "./held-lock.ts";
import { describeHolder, type Holder, holderHere, parseHolder, stateOf } from "./holder.ts";

/** The holder touches its file this often. */
const HEARTBEAT_MS = 10_000;
/** A holder on another machine counts as dead when its file was not touched for this long. */
const FOREIGN_STALE_MS = 60_000;
const POLL_MS = 500;

export interface LockOptions {
  /** Aborted: a driver that waits for a silent one gives up. */
  readonly signal?: AbortSignal;
  /** Prints a line about the wait. */
  readonly say?: (line: string) => void;
  readonly heartbeatMs?: number;
  /** Milliseconds of any clock that goes on while this process stands still. */
  readonly now?: () => number;
}

/** The newest lock file of a folder. */
interface Found {
  readonly number: number;
  /** Null when the file cannot be understood. */
  readonly holder: Holder | null;
  /** The time of its holder's last touch, by the clock of the file system. */
  readonly touchedMs: number;
  /** Time since then. */
  readonly silentMs: number;
}

/**
 * Waits for a holder on another machine until it has been silent for long enough. Fails with
 * `run_busy` when another driver lives.
 */
export async function takeLock(directory: string, options: LockOptions = {}): Promise<Lock> {
  const { heartbeatMs = HEARTBEAT_MS, now = stoppedClock() } = options;
  const mine = join(directory, `lock.${randomId(21)}.tmp`);
  const holder = holderHere();
  const waiting = new Waiting(directory, options);
  try {
    for (;;) {
      await replaceFile(mine, JSON.stringify(holder));
      const found = await newest(directory, mine);
      if (found !== null && (await waiting.isNeeded(found))) continue;
      const number = (found?.number ?? 0) + 1;
      if (!(await claim(mine, directory, number))) continue;
      const isFromSilent = found !== null && isSilent(found);
      const notes = found === null ? [] : notesOn(found, directory);
      return new HeldLock({ directory, number, holder, isFromSilent, notes, heartbeatMs, now });
    }
  } finally {
    await rm(mine, { force: true });
  }
}

/** Removes every lock file of a directory that was moved aside: no driver will run there. */
export async function clearLock(directory: string): Promise<void> {
  for (const number of await lockNumbers(directory))
    await rm(join(directory, `lock.${number}`), { force: true });
}

/**
 * A clock that goes on while the process is stopped and while its machine sleeps. Either of the two
 * clocks stands still in one of these cases.
 */
function stoppedClock(): () => number {
  const offset = Date.now() - performance.now();
  return () => Math.max(performance.now() + offset, Date.now());
}

/** The wait for a holder on another machine, which is either busy or dead. */
class Waiting {
  readonly #directory: string;
  readonly #options: LockOptions;
  /** The lock that is waited for, as it was first seen. */
  #first: Found | null = null;

  constructor(directory: string, options: LockOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  /** False when the lock is free. Otherwise pauses. Fails with `run_busy` for a living holder. */
  async isNeeded(found: Found): Promise<boolean> {
    const { holder, silentMs } = found;
    const state = holder === null ? "dead" : stateOf(holder);
    if (holder === null || state === "dead" || state === "released") return false;
    if (state === "alive" || this.#wasTouched(found)) throw busy(this.#directory, holder);
    if (silentMs >= FOREIGN_STALE_MS) return false;
    if (this.#first?.number !== found.number) this.#begin(found, holder);
    if (this.#options.signal?.aborted === true) throw busy(this.#directory, holder);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    return true;
  }

  #wasTouched({ number, touchedMs }: Found): boolean {
    return this.#first?.number === number && touchedMs !== this.#first.touchedMs;
  }

  #begin(found: Found, holder: Holder): void {
    this.#first = found;
    const ago = Math.floor(found.silentMs / 1000);
    const left = Math.ceil((FOREIGN_STALE_MS - found.silentMs) / 1000);
    this.#options.say?.(
      `waiting: ${this.#directory} has the lock of ${describeHolder(holder)}, last heard of ${ago} s ago; unless it is heard of again, the lock is free in ${left} s`,
    );
  }
}

/** Tells whether the holder may still run although its lock is free. */
function isSilent({ holder }: Found): boolean {
  return holder === null || stateOf(holder) === "elsewhere";
}

function notesOn({ number, holder, silentMs }: Found, directory: string): string[] {
  if (holder === null)
    return [
      `${join(directory, `lock.${number}`)} cannot be read, as after a power cut: its driver counts as dead`,
    ];
  if (stateOf(holder) !== "elsewhere") return [];
  return [
    `took over from ${describeHolder(holder)}, which was silent for ${Math.round(silentMs / 1000)} s`,
  ];
}

/** False when another process was faster. */
async function claim(mine: string, directory: string, number: number): Promise<boolean> {
  try {
    // A hard link is made whole or not at all, also on a network file system.
    await link(mine, join(directory, `lock.${number}`));
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false;
    throw cause;
  }
  const others = (await lockNumbers(directory)).filter((other) => other !== number);
  if (others.some((other) => other > number)) {
    await rm(join(directory, `lock.${number}`), { force: true });
    return false;
  }
  for (const other of others) await rm(join(directory, `lock.${other}`), { force: true });
  await syncFolder(directory);
  return true;
}

/** `mine` was written just now, by the clock that also times the lock files. */
async function newest(directory: string, mine: string): Promise<Found | null> {
  for (;;) {
    const number = Math.max(0, ...(await lockNumbers(directory)));
    if (number === 0) return null;
    const path = join(directory, `lock.${number}`);
    try {
      const text = await readFile(path, "utf8");
      const touchedMs = (await stat(path)).mtimeMs;
      const silentMs = (await stat(mine)).mtimeMs - touchedMs;
      return { number, holder: parseHolder(text), touchedMs, silentMs };
    } catch (cause) {
      // Another process has just moved on.
      if (codeOf(cause) !== "ENOENT") throw cause;
    }
  }
}

function busy(directory: string, holder: Holder): MatrixError {
  return new MatrixError(
    "run_busy",
    `another driver runs in ${directory}: ${describeHolder(holder)}`,
    {
      hint: "wait for it, stop it, or choose another directory with -o",
    },
  );
}

function codeOf(cause: unknown): unknown {
  return (cause as { code?: unknown }).code;
}

/**
 * Tells whether a driver works in the directory, as far as the files tell it. A driver on another
 * machine counts as alive while its clock and this one agree that it has touched its lock.
 */
export async function isHeld(directory: string): Promise<boolean> {
  try {
    const number = Math.max(0, ...(await lockNumbers(directory)));
    if (number === 0) return false;
    const path = join(directory, `lock.${number}`);
    const holder = parseHolder(await readFile(path, "utf8"));
    const state = holder === null ? "dead" : stateOf(holder);
    if (state !== "elsewhere") return state === "alive";
    return Date.now() - (await stat(path)).mtimeMs < FOREIGN_STALE_MS;
  } catch {
    return false;
  }
}
