// The watch over a worker's parent.

import { expect, test } from "bun:test";
import { watchParent } from "../../../src/run/worker/parent.ts";
import { until } from "../../parts/until.ts";

test("a process whose parent is another one is told once that its parent is gone", async () => {
  let [gone, there] = [0, 0];
  const stops = [
    watchParent(process.ppid + 1, () => gone++),
    watchParent(process.ppid, () => there++),
  ];
  await until(() => gone > 0, "the parent is gone");
  expect([gone, there]).toEqual([1, 0]);
  for (const stop of stops) stop();
});
