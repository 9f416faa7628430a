// The watch over a worker's parent.

import { expect, test } from "bun:test";
import { watchParent } from "../../../src/run/worker/parent.ts";
import { timersLeftBy } from "../../parts/timers.ts";

test("the watch over a parent ends when the parent is gone, and when it is told to end", async () => {
  let [gone, there] = [0, 0];
  const left = await timersLeftBy(async ({ waiting, ring }) => {
    watchParent(process.ppid + 1, () => gone++);
    const stop = watchParent(process.ppid, () => there++);
    expect(waiting()).toEqual([1000, 1000]);
    ring(1000);
    expect(waiting()).toEqual([1000]);
    stop();
  });
  expect([gone, there, left]).toEqual([1, 0, []]);
});
