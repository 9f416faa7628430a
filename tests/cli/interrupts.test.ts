// Signals with which a user drains or halts a run.

import { expect, test } from "bun:test";
import { catchInterrupts } from "../../src/cli/interrupts.ts";

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
