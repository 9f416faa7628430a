// Which processes run: what the lock of a run directory and the adoption of workers rest on.

import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { isRunning, startTimeOf } from "../src/process.ts";
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
