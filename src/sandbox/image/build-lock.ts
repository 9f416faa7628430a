// A lock file that lets one process build while the others wait, also on a shared file system.

import { rm, stat, utimes, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { MatrixError, messageOf } from "../../error.ts";
import type { Log } from "../../telemetry/log.ts";

const TOUCH_EVERY_MS = 10_000;
/** A lock that was not touched for this long belongs to a builder that died. */
export const LOCK_STALE_MS = 60_000;
const LOOK_EVERY_MS = 500;

export interface LockOptions {
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** Default: a timer. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

/**
 * Builds under the lock unless `isDone` already holds. A process that finds the lock taken looks
 * again until the build is done, and takes the lock over when its builder has died.
 */
export async function buildOnce(
  lock: string,
  isDone: () => boolean,
  { log, signal, pause = sleep }: LockOptions,
  build: () => Promise<void>,
): Promise<void> {
  let told = false;
  while (!isDone()) {
    signal?.throwIfAborted();
    if (await takeLock(lock)) return buildAndUnlock(lock, isDone, build);
    if (!told) log.write("info", `waiting for another process, which builds under ${lock}`);
    told = true;
    await pause(LOOK_EVERY_MS);
  }
}

async function buildAndUnlock(
  lock: string,
  isDone: () => boolean,
  build: () => Promise<void>,
): Promise<void> {
  const touch = setInterval(
    () => void utimes(lock, new Date(), new Date()).catch(() => undefined),
    TOUCH_EVERY_MS,
  );
  try {
    // Another process may have finished between the look and the lock.
    if (!isDone()) await build();
  } finally {
    clearInterval(touch);
    await rm(lock, { force: true });
  }
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, `${process.pid}\n`, { flag: "wx" });
    return true;
  } catch (cause) {
    if ((cause as { code?: string }).code !== "EEXIST")
      throw new MatrixError("sandbox_unavailable", `cannot write ${lock}: ${messageOf(cause)}`, {
        cause,
        hint: "set XDG_CACHE_HOME to a folder that you can write to",
      });
  }
  const touchedAt = await stat(lock).then(
    ({ mtimeMs }) => mtimeMs,
    () => Date.now(),
  );
  // Two processes that both find the lock stale may both build. That is harmless: each puts the
  // same file in place whole.
  if (Date.now() - touchedAt > LOCK_STALE_MS) await rm(lock, { force: true });
  return false;
}
