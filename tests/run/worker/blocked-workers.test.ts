// Workers that a step blocks for good, told from those that are only silent.

import { expect, test } from "bun:test";
import { cpuMsOf } from "../../../src/process.ts";
import { BlockedWorkers } from "../../../src/run/worker/blocked-workers.ts";

const worker = (pid: number, isPresent: boolean) => ({ id: `w${pid}`, pid, isPresent });

test("a silent worker is blocked when it has burned 30 s of processor time in its silence", () => {
  const cpu = new Map([[1, 100_000]]);
  const blocked = new BlockedWorkers((pid) => cpu.get(pid) ?? null);
  const look = (isPresent = false) => blocked.look([worker(1, isPresent)]).length;
  expect(look()).toBe(0);
  cpu.set(1, 129_999);
  expect(look()).toBe(0);
  cpu.set(1, 130_000);
  expect(look()).toBe(1);
  // It is heard of again, and its next silence counts anew.
  expect(look(true)).toBe(0);
  expect(look()).toBe(0);
  cpu.set(1, 159_999);
  expect(look()).toBe(0);
});

test("a worker that burns nothing, that is heard of, or that is no process, is not blocked", () => {
  let cpuMs = 5000;
  const blocked = new BlockedWorkers((pid) => (pid === 1 ? 5000 : pid === 2 ? cpuMs : null));
  for (; cpuMs < 200_000; cpuMs += 20_000)
    expect(blocked.look([worker(1, false), worker(2, true), worker(3, false)])).toEqual([]);
});

test("another life of a worker begins with nothing burned", () => {
  let cpuMs = 0;
  const blocked = new BlockedWorkers(() => cpuMs);
  blocked.look([worker(1, false)]);
  cpuMs = 40_000;
  blocked.look([worker(2, false)]);
  expect(blocked.look([worker(1, false)])).toEqual([]);
});

test("the processor time of this process grows as it computes, and of no process there is none", () => {
  const before = cpuMsOf(process.pid);
  if (before === null) return;
  const until = performance.now() + 200;
  while (performance.now() < until);
  const burned = (cpuMsOf(process.pid) ?? 0) - before;
  expect(burned).toBeGreaterThan(0);
  expect(burned).toBeLessThan(60_000);
  expect(cpuMsOf(2 ** 30)).toBeNull();
});
