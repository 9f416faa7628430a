// Signals with which a user drains or halts a run.

import { expect, test } from "bun:test";
import { catchInterrupts, ignoresHangups, onInterrupt } from "../../src/cli/interrupts.ts";

const listeners = () => ["SIGINT", "SIGTERM"].map((signal) => process.listenerCount(signal));

test.each(["SIGINT", "SIGTERM"] as const)("the first %s drains and the second halts", (signal) => {
  const before = listeners();
  const { drain, halt, dispose } = catchInterrupts();
  expect([drain.aborted, halt.aborted]).toEqual([false, false]);
  process.emit(signal);
  expect([drain.aborted, halt.aborted]).toEqual([true, false]);
  process.emit(signal === "SIGINT" ? "SIGTERM" : "SIGINT");
  expect([drain.aborted, halt.aborted]).toEqual([true, true]);
  dispose();
  expect(listeners()).toEqual(before);
});

test("a process that ignores SIGHUP, as under nohup, goes on ignoring it", () => {
  const status = (mask: string) => `Name:\tmatrix\nSigBlk:\t0000000000000001\nSigIgn:\t${mask}\n`;
  for (const [mask, ignores] of [
    ["0000000000000001", true],
    ["0000000000001003", true],
    ["0000000000000000", false],
    ["0000000000001002", false],
    ["000000000000000f", true],
  ] as const)
    expect(ignoresHangups(status(mask), !ignores)).toBe(ignores);
});

test("where a process cannot tell, it hears SIGHUP on a terminal alone", () => {
  expect([ignoresHangups(null, true), ignoresHangups(null, false)]).toEqual([false, true]);
  expect(ignoresHangups("Name:\tx\n", true)).toBe(false);
});

test("a hangup is a signal like the others, unless it is ignored", () => {
  const before = process.listenerCount("SIGHUP");
  let calls = 0;
  const stop = onInterrupt(() => calls++);
  expect(process.listenerCount("SIGHUP") - before).toBe(ignoresHangups() ? 0 : 1);
  process.emit("SIGTERM");
  process.emit("SIGINT");
  expect(calls).toBe(2);
  stop();
  expect(process.listenerCount("SIGHUP")).toBe(before);
});
