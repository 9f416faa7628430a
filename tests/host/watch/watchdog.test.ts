// The beats of a watchdog, from the first step to its end.

import { expect, test } from "bun:test";
import { Role } from "../../../src/host/role.ts";
import { Step } from "../../../src/host/step.ts";
import { readSteps } from "../../../src/host/watch/steps.ts";
import { type WatchData, Watchdog } from "../../../src/host/watch/watchdog.ts";
import { taskOf } from "../../parts/task.ts";
import { until } from "../../parts/until.ts";

const beatsNow = (data: WatchData | undefined) => (data ? readSteps(data.memory).beats : 0);

test("a watchdog starts one thread with the first step, beats, and ends the thread", async () => {
  const started: WatchData[] = [];
  let stopped = 0;
  const watchdog = new Watchdog("worker", "w1", (data) => {
    started.push(data as WatchData);
    return { stop: () => void stopped++ };
  });
  const agent = { run: () => ({ result: 1 }) };
  const limits = { concurrency: 1, timeoutMs: 1, retries: 0 };
  const role = new Role({ name: "solver", agent, ...limits });
  const step = new Step(taskOf({ role: "solver", rowId: "r7", trial: 2 }), role, 0, 0);
  watchdog.begin(step);
  watchdog.begin(step);
  const [data] = started;
  if (data === undefined) throw new Error("there is no thread");
  expect(started).toEqual([{ memory: data.memory, kind: "worker", name: "w1" }]);
  expect(readSteps(data.memory).running).toBe("role solver, row r7, trial 2");
  await until(() => beatsNow(data) >= 2, "the watchdog has beaten twice");
  expect(stopped).toBe(0);
  const before = beatsNow(data);
  watchdog.stop();
  expect(stopped).toBe(1);
  // A second watchdog beats at the same pace, and the first one no longer.
  const other = new Watchdog("worker", "w2", (second) => {
    started.push(second as WatchData);
    return { stop: () => undefined };
  });
  other.begin(step);
  await until(() => beatsNow(started.at(-1)) >= 2, "the second watchdog has beaten twice");
  other.stop();
  expect(beatsNow(data)).toBe(before);
});

test("a watchdog that never saw a step has nothing to stop", () => {
  const watchdog = new Watchdog("run", "driver", () => {
    throw new Error("a thread was started");
  });
  watchdog.stop();
});
