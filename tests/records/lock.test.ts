// The lock of a run directory: who respects whose, and which files it leaves.

import { expect, test } from "bun:test";
import { readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { machineId, startTimeOf } from "../../src/process.ts";
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
      code: "run_refused",
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

test("a lock of another machine is respected while it was touched within a minute", () =>
  withFolder(async (folder) => {
    await writeHolder(folder, 1, {});
    for (const agoMs of [0, 55_000]) {
      await touch(folder, agoMs);
      await expect(takeLock(folder)).rejects.toMatchObject({
        message: `another driver runs in ${folder}: process 1 on far, since 2026`,
      });
    }
    await touch(folder, 61_000);
    await (await takeLock(folder)).release();
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
      if (result.status === "rejected") expect(result.reason.code).toBe("run_refused");
    expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  }));

test("a lock file that is damaged is an error, not a free lock", () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, "lock.1"), "{");
    await expect(takeLock(folder)).rejects.toThrow();
    expect(await readdir(folder)).toEqual(["lock.1"]);
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
    const lock = await takeLock(folder, 5);
    const touchedMs = async () => (await stat(join(folder, "lock.1"))).mtimeMs;
    for (let beat = 0; beat < 2; beat++) {
      await touch(folder, 100_000);
      await until(async () => Date.now() - (await touchedMs()) < 50_000, "the lock is touched");
    }
    await lock.release();
  }));
