// Which processes run: the lock of a run directory and the adoption of workers rest on it.

import { expect, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { isRunning, machineId, startTimeOf } from "../src/process.ts";
import { withFolder } from "./parts/folder.ts";
import { until } from "./parts/until.ts";

test("a process runs under its number and start time, and under no other start time", () => {
  const me = { pid: process.pid, startTime: startTimeOf(process.pid) };
  expect(isRunning(me)).toBe(true);
  expect(isRunning({ ...me, startTime: null })).toBe(true);
  if (me.startTime !== null)
    expect(isRunning({ ...me, startTime: `${me.startTime}0` })).toBe(false);
  expect(isRunning({ pid: 2 ** 22 + 1, startTime: null })).toBe(false);
});

test("a process that is dead does not run, though its parent has not collected it", async () => {
  if (!existsSync("/proc/self/stat")) {
    console.log("skipped: this system has no /proc");
    return;
  }
  // The shell starts a child and becomes a program that never asks for it.
  const parent = Bun.spawn(["sh", "-c", "sleep 0.01 & echo $!; exec sleep 1000"], {
    stdout: "pipe",
    stdin: "ignore",
  });
  const { value } = await parent.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  await until(
    () => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "),
    "the child is dead and waits to be collected",
  );
  expect(() => process.kill(pid, 0)).not.toThrow();
  expect(isRunning({ pid, startTime: startTimeOf(pid) })).toBe(false);
  parent.kill("SIGKILL");
  await parent.exited;
});

test("a machine has one name, of 16 hexadecimal digits", () => {
  expect(machineId()).toMatch(/^[0-9a-f]{16}$/);
  expect(machineId()).toBe(machineId());
});

test("a start time counts ticks since boot, and a process that is gone has none", () => {
  if (!existsSync("/proc/self/stat")) return;
  expect(startTimeOf(process.pid)).toMatch(/^\d+$/);
  expect(startTimeOf(2 ** 22 + 1)).toBeNull();
});

test("a start time is read past a process name with spaces and brackets", async () => {
  if (!existsSync("/proc/self/stat")) return;
  await withFolder(async (folder) => {
    const path = join(folder, "a) (b 1 2");
    symlinkSync("/bin/sleep", path);
    const child = Bun.spawn([path, "60"]);
    const nameOf = () => readFileSync(`/proc/${child.pid}/stat`, "utf8");
    await until(() => nameOf().includes("(a) (b 1 2)"), "the program has begun");
    const startTime = startTimeOf(child.pid);
    expect(startTime).toMatch(/^\d{2,}$/);
    expect(isRunning({ pid: child.pid, startTime })).toBe(true);
    child.kill("SIGKILL");
    await child.exited;
    expect(isRunning({ pid: child.pid, startTime })).toBe(false);
  });
});

test("process 1 runs, also for a user who may not send it a signal", () => {
  expect(isRunning({ pid: 1, startTime: null })).toBe(true);
});
