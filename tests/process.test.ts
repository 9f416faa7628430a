// Which processes run: the lock of a run directory and the adoption of workers rest on it.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readlinkSync, symlinkSync } from "node:fs";
import { hostname } from "node:os";
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

/** Lets `process.kill` answer so while `use` runs. */
function withKill(kill: () => true, use: () => void): void {
  const before = process.kill;
  process.kill = kill;
  try {
    use();
  } finally {
    process.kill = before;
  }
}

test("a process of another user runs, though it cannot be sent a signal", () => {
  const refusing = (code: string) => () => {
    throw Object.assign(new Error(code), { code });
  };
  const me = { pid: process.pid, startTime: startTimeOf(process.pid) };
  withKill(refusing("EPERM"), () => expect(isRunning(me)).toBe(true));
  withKill(refusing("ESRCH"), () => expect(isRunning(me)).toBe(false));
});

test("a process without an entry in /proc runs only where it never had one", () => {
  const pid = 2 ** 22 + 1;
  withKill(
    () => true,
    () => {
      expect(isRunning({ pid, startTime: null })).toBe(true);
      expect(isRunning({ pid, startTime: "5" })).toBe(false);
    },
  );
});

test("a machine is named for its host name, its boot and its process namespace", () => {
  if (!existsSync("/proc/self/stat")) return;
  const parts = [
    hostname(),
    readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    readlinkSync("/proc/self/ns/pid"),
  ];
  const sha256 = createHash("sha256").update(parts.join("\n")).digest("hex");
  expect(machineId()).toBe(sha256.slice(0, 16));
});
