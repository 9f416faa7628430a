// The lock of a run directory: who respects whose, and which files it leaves.

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { machineId, startTimeOf } from "../../src/process.ts";
import type { Lock } from "../../src/records/held-lock.ts";
import { clearLock, takeLock } from "../../src/records/lock.ts";
import { withFolder } from "../parts/folder.ts";
import { until } from "../parts/until.ts";

const holderIn = async (folder: string, number: number) =>
  JSON.parse(await readFile(join(folder, `lock.${number}`), "utf8"));
const writeHolder = (folder: string, number: number, holder: object) =>
  writeFile(
    join(folder, `lock.${number}`),
    JSON.stringify({
      host: "far",
      machine: "far",
      pid: 1,
      startTime: null,
      since: "2026",
      released: false,
      ...holder,
    }),
  );
const touch = (folder: string, agoMs: number) => {
  const at = new Date(Date.now() - agoMs);
  return utimes(join(folder, "lock.1"), at, at);
};
/** A number that no process has. */
const DEAD = { machine: machineId(), pid: 2 ** 22 + 1, startTime: "1" };

test("the first lock of a folder is lock.1, names its process, and is the only file", () =>
  withFolder(async (folder) => {
    const lock = await takeLock(folder);
    expect(await readdir(folder)).toEqual(["lock.1"]);
    const { since, ...holder } = await holderIn(folder, 1);
    expect(holder).toEqual({
      host: hostname(),
      machine: machineId(),
      pid: process.pid,
      startTime: startTimeOf(process.pid),
      released: false,
    });
    expect(Date.parse(since)).toBeGreaterThan(Date.now() - 60_000);
    await lock.release();
    expect(await readdir(folder)).toEqual(["lock.1"]);
    expect((await holderIn(folder, 1)).released).toBe(true);
  }));

test("a lock whose process lives is respected, and the error names the process", () =>
  withFolder(async (folder) => {
    const lock = await takeLock(folder);
    const { since } = await holderIn(folder, 1);
    await expect(takeLock(folder)).rejects.toMatchObject({
      code: "run_busy",
      message: `another driver runs in ${folder}: process ${process.pid} on ${hostname()}, since ${since}`,
      hint: "wait for it, stop it, or choose another directory with -o",
    });
    expect(await readdir(folder)).toEqual(["lock.1"]);
    await lock.release();
  }));

test("a released or dead lock is taken under the next number", () =>
  withFolder(async (folder) => {
    await (await takeLock(folder)).release();
    await (await takeLock(folder)).release();
    expect(await readdir(folder)).toEqual(["lock.2"]);
    await writeHolder(folder, 9, DEAD);
    const lock = await takeLock(folder);
    expect(await readdir(folder)).toEqual(["lock.10"]);
    await lock.release();
  }));

test("a lock whose process number went to another process is not respected", () =>
  withFolder(async (folder) => {
    await writeHolder(folder, 1, { ...DEAD, pid: process.pid, startTime: "12345" });
    await (await takeLock(folder)).release();
  }));

test("a lock of another machine that is touched during the wait is respected", () =>
  withFolder(async (folder) => {
    await writeHolder(folder, 1, {});
    await touch(folder, 13_500);
    const said: string[] = [];
    const taking = takeLock(folder, { say: (line) => said.push(line) }).catch((thrown) => thrown);
    await until(() => said.length > 0, "the driver waits");
    expect(said).toEqual([
      `waiting: ${folder} has the lock of process 1 on far, since 2026, last heard of 13 s ago; unless it is heard of again, the lock is free in 47 s`,
    ]);
    await touch(folder, 0);
    expect(await taking).toMatchObject({
      code: "run_busy",
      exitCode: 4,
      message: `another driver runs in ${folder}: process 1 on far, since 2026`,
    });
    expect(await readdir(folder)).toEqual(["lock.1"]);
  }));

test("a lock of another machine is taken when it was silent for a minute, after a wait if need be", () =>
  withFolder(async (folder) => {
    for (const [number, agoMs, lines] of [
      [1, 60_050, 0],
      [2, 59_700, 1],
    ] as const) {
      await writeHolder(folder, number, {});
      const at = new Date(Date.now() - agoMs);
      await utimes(join(folder, `lock.${number}`), at, at);
      const said: string[] = [];
      const lock = await takeLock(folder, { say: (line) => said.push(line) });
      expect(said).toHaveLength(lines);
      expect(await readdir(folder)).toEqual([`lock.${number + 1}`]);
      expect(lock.isFromSilent).toBe(true);
      expect(lock.notes).toEqual([
        "took over from process 1 on far, since 2026, which was silent for 60 s",
      ]);
      await lock.release();
      await rm(join(folder, `lock.${number + 1}`));
    }
  }));

test("a driver that waits for a silent one gives up at a signal", () =>
  withFolder(async (folder) => {
    await writeHolder(folder, 1, {});
    const stopping = new AbortController();
    const taking = takeLock(folder, {
      signal: stopping.signal,
      say: () => stopping.abort(),
    });
    await expect(taking).rejects.toMatchObject({ code: "run_busy" });
    expect(await readdir(folder)).toEqual(["lock.1"]);
  }));

test("a released lock of another machine is not respected, however fresh", () =>
  withFolder(async (folder) => {
    await writeHolder(folder, 1, { released: true });
    await (await takeLock(folder)).release();
  }));

test("one of many that take a dead lock at once gets it", () =>
  withFolder(async (folder) => {
    await writeHolder(folder, 1, DEAD);
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => takeLock(folder)));
    const taken = results.filter(({ status }) => status === "fulfilled");
    expect(taken).toHaveLength(1);
    for (const result of results)
      if (result.status === "rejected") expect(result.reason.code).toBe("run_busy");
    expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  }));

test("a lock file that a power cut left empty, torn or full of zeros is a dead driver's", () =>
  withFolder(async (folder) => {
    let number = 1;
    for (const content of ["", "\0".repeat(200), '{"host":"far","mach', "null", "7"]) {
      await writeFile(join(folder, `lock.${number}`), content);
      const lock = await takeLock(folder);
      expect(lock.notes).toEqual([
        `${join(folder, `lock.${number}`)} cannot be read, as after a power cut: its driver counts as dead`,
      ]);
      expect(lock.isFromSilent).toBe(true);
      await lock.release();
      await rm(join(folder, `lock.${++number}`));
    }
  }));

test("a lock that was free or whose process is dead here was not taken from a silent driver", () =>
  withFolder(async (folder) => {
    const first = await takeLock(folder);
    expect([first.isFromSilent, first.notes]).toEqual([false, []]);
    await first.release();
    await writeHolder(folder, 9, DEAD);
    const second = await takeLock(folder);
    expect([second.isFromSilent, second.notes]).toEqual([false, []]);
    await second.release();
  }));

test("the lock of a folder that is gone can be released", () =>
  withFolder(async (folder) => {
    const lock = await takeLock(folder);
    await rm(folder, { recursive: true });
    await lock.release();
  }));

test("clearing removes every lock file and nothing else", () =>
  withFolder(async (folder) => {
    for (const name of ["lock.1", "lock.22", "lock.x", "lock.3.tmp", "other"])
      await writeFile(join(folder, name), "");
    await clearLock(folder);
    expect((await readdir(folder)).sort()).toEqual(["lock.3.tmp", "lock.x", "other"]);
  }));

test("a held lock is touched again and again, so that other machines see it alive", () =>
  withFolder(async (folder) => {
    const lock = await takeLock(folder, { heartbeatMs: 5 });
    const touchedMs = async () => (await stat(join(folder, "lock.1"))).mtimeMs;
    for (let beat = 0; beat < 2; beat++) {
      await touch(folder, 100_000);
      await until(async () => Date.now() - (await touchedMs()) < 50_000, "the lock is touched");
    }
    await lock.release();
  }));

/** A lock whose clock a test sets, and the files of a driver that takes it over. */
async function withHeld(
  use: (held: {
    folder: string;
    lock: Lock;
    clock: { now: number };
    takeOver: () => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const clock = { now: 1_000_000 };
    const lock = await takeLock(folder, { now: () => clock.now });
    const takeOver = async () => {
      await writeHolder(folder, 2, {});
      await rm(join(folder, "lock.1"));
    };
    await use({ folder, lock, clock, takeOver });
    await lock.release();
  });
}

test("a driver whose lock another one took notices it before its next change, and for good", () =>
  withHeld(async ({ folder, lock, clock, takeOver }) => {
    await lock.confirm();
    await takeOver();
    clock.now += 50;
    const error = {
      code: "run_taken",
      exitCode: 3,
      message: `another driver (process 1 on far, since 2026) has taken over ${folder}, because this one was not heard of for too long: it stops and leaves the directory alone`,
    };
    await expect(lock.confirm()).rejects.toMatchObject(error);
    expect(lock.lost.aborted).toBe(true);
    expect(lock.lost.reason).toMatchObject(error);
    await rm(join(folder, "lock.2"));
    await expect(lock.confirm()).rejects.toMatchObject(error);
    // The release of a lost lock leaves the folder alone.
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
  }));

test("a look at the lock counts for less than 50 ms, forward and backward", () =>
  withHeld(async ({ lock, clock, takeOver }) => {
    await takeOver();
    for (const ms of [0, 49, -49]) {
      clock.now = 1_000_000 + ms;
      await lock.confirm();
    }
    clock.now = 1_000_000 - 50;
    await expect(lock.confirm()).rejects.toMatchObject({ code: "run_taken" });
  }));

test("each look counts anew for less than 50 ms", () =>
  withHeld(async ({ lock, clock, takeOver }) => {
    clock.now += 100;
    await lock.confirm();
    await takeOver();
    clock.now += 49;
    await lock.confirm();
    clock.now += 1;
    await expect(lock.confirm()).rejects.toMatchObject({ code: "run_taken" });
  }));

test("a look is repeated when it took as long as a takeover may take, and not below", () =>
  withFolder(async (folder) => {
    // The clock is asked when the lock is taken, and before and after each look.
    for (const [lookMs, isTaken] of [
      [19_999, false],
      [20_000, true],
    ] as const) {
      await rm(join(folder, "lock.9"), { force: true });
      let asked = 0;
      const now = () => {
        asked++;
        if (asked < 4) return asked === 1 ? 0 : 60;
        // The process was stopped after it had read the folder.
        if (asked === 4) writeFileSync(join(folder, "lock.9"), "");
        return 60 + lookMs;
      };
      const lock = await takeLock(folder, { now });
      const confirmed = lock.confirm().then(
        () => false,
        () => true,
      );
      expect(await confirmed).toBe(isTaken);
      await rm(join(folder, "lock.9"));
      await lock.release();
    }
  }));

test("a driver whose lock files were deleted keeps the directory until another one takes it", () =>
  withHeld(async ({ folder, lock, clock }) => {
    await rm(join(folder, "lock.1"));
    clock.now += 60;
    await lock.confirm();
    await writeFile(join(folder, "lock.3"), "");
    clock.now += 60;
    await expect(lock.confirm()).rejects.toMatchObject({
      code: "run_taken",
      message: expect.stringContaining(`another driver has taken over ${folder}`),
    });
  }));

test("a lock in a folder that is gone cannot be confirmed, and is not lost", () =>
  withHeld(async ({ folder, lock, clock }) => {
    await rm(folder, { recursive: true });
    clock.now += 60;
    await expect(lock.confirm()).rejects.toMatchObject({
      code: "storage_failed",
      message: `the run directory ${folder} is gone`,
      hint: "run the same command again when the storage is back",
    });
    expect(lock.lost.aborted).toBe(false);
  }));
