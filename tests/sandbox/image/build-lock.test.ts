// The lock under which one process builds while the others wait.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  buildOnce,
  LOCK_STALE_MS,
  type LockOptions,
} from "../../../src/sandbox/image/build-lock.ts";
import { withFolder } from "../../parts/folder.ts";
import { keptLog } from "../../parts/kept-log.ts";
import { quiet } from "../../parts/quiet.ts";

/** A build that is done once it has run. */
function building(lock: string, options: Partial<LockOptions> = {}) {
  const state = { builds: 0, isDone: false, wasLocked: false, lockText: "" };
  const pauses: number[] = [];
  const once = () =>
    buildOnce(
      lock,
      () => state.isDone,
      { log: quiet, pause: async (ms) => pauses.push(ms), ...options },
      async () => {
        state.builds++;
        state.wasLocked = existsSync(lock);
        state.lockText = await readFile(lock, "utf8");
        state.isDone = true;
      },
    );
  return { state, pauses, once };
}

async function age(lock: string, ms: number): Promise<void> {
  await writeFile(lock, "1\n");
  const at = new Date(Date.now() - ms);
  await utimes(lock, at, at);
}

test("a build runs under the lock, which names its process and is gone afterwards", () =>
  withFolder(async (folder) => {
    const lock = join(folder, "lock");
    const { state, pauses, once } = building(lock);
    await once();
    expect(state).toEqual({
      builds: 1,
      isDone: true,
      wasLocked: true,
      lockText: `${process.pid}\n`,
    });
    expect([existsSync(lock), pauses]).toEqual([false, []]);
    await once();
    expect(state.builds).toBe(1);
  }));

test("a failed build is passed on, and unlocks", () =>
  withFolder(async (folder) => {
    const lock = join(folder, "lock");
    const fail = () => Promise.reject(new Error("no"));
    await expect(buildOnce(lock, () => false, { log: quiet }, fail)).rejects.toThrow("no");
    expect(existsSync(lock)).toBe(false);
  }));

test("while another process builds, this one says so once and looks every 500 ms", () =>
  withFolder(async (folder) => {
    const lock = join(folder, "lock");
    await writeFile(lock, "1\n");
    const { log, lines } = keptLog();
    const pauses: number[] = [];
    const { state, once } = building(lock, {
      log,
      pause: async (ms) => {
        pauses.push(ms);
        if (pauses.length === 3) state.isDone = true;
      },
    });
    await once();
    expect(pauses).toEqual([500, 500, 500]);
    expect(lines).toEqual([`info waiting for another process, which builds under ${lock}`]);
    expect(state.builds).toBe(0);
    expect(existsSync(lock)).toBe(true);
  }));

test("a lock that is given back is taken by the process that waits", () =>
  withFolder(async (folder) => {
    const lock = join(folder, "lock");
    await writeFile(lock, "1\n");
    const { state, once } = building(lock, { pause: () => rm(lock) });
    await once();
    expect(state.builds).toBe(1);
  }));

test("a lock that was not touched for a minute is taken over, and a younger one is not", () =>
  withFolder(async (folder) => {
    const lock = join(folder, "lock");
    expect(LOCK_STALE_MS).toBe(60_000);
    await age(lock, LOCK_STALE_MS + 1000);
    const taken = building(lock);
    await taken.once();
    expect([taken.state.builds, taken.pauses]).toEqual([1, [500]]);
    await age(lock, LOCK_STALE_MS - 10_000);
    const waiting = building(lock, {
      pause: async () => {
        waiting.state.isDone = true;
      },
    });
    await waiting.once();
    expect(waiting.state.builds).toBe(0);
  }));

test("a process that is told to stop waits no longer", () =>
  withFolder(async (folder) => {
    const lock = join(folder, "lock");
    await writeFile(lock, "1\n");
    const controller = new AbortController();
    const { once } = building(lock, {
      signal: controller.signal,
      pause: async () => controller.abort(new Error("stopped")),
    });
    await expect(once()).rejects.toThrow("stopped");
  }));

test("a lock that cannot be written says where and what to do", () =>
  withFolder(async (folder) => {
    const { once } = building(join(folder, "missing/lock"));
    await expect(once()).rejects.toMatchObject({
      code: "sandbox_unavailable",
      message: expect.stringContaining("cannot write "),
      hint: "set XDG_CACHE_HOME to a folder that you can write to",
    });
  }));
