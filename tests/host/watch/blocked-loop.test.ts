// The decision that an event loop is blocked, from its beats and from the clocks.

import { expect, test } from "bun:test";
import { BlockedLoop, describeBlocker, LOOK_MS } from "../../../src/host/watch/blocked-loop.ts";

/** A loop, and a function that looks after some time, some processor time and some beats. */
function createWatch() {
  const loop = new BlockedLoop();
  let [nowMs, cpu, beats] = [5000, 7000, 0];
  const look = (passedMs = LOOK_MS, cpuMs = 0, beat = 0) => {
    nowMs += passedMs;
    cpu += cpuMs;
    beats += beat;
    return loop.look({ beats, nowMs, cpuMs: cpu });
  };
  return { loop, look };
}

test("a loop is blocked after ten seconds without a beat, which is said once", () => {
  const { loop, look } = createWatch();
  expect(look()).toBe("beats");
  for (let seconds = 1; seconds <= 9; seconds++) expect(look()).toBe("still");
  expect(look(999)).toBe("still");
  expect(loop.silentMs).toBe(9999);
  expect(look(1)).toBe("blocked");
  expect(loop.silentMs).toBe(10_000);
  expect(look()).toBe("still");
});

test("a loop that beats again after it was blocked is told so once, and is blocked anew", () => {
  const { loop, look } = createWatch();
  look();
  for (let seconds = 1; seconds <= 12; seconds++) look();
  expect(look(LOOK_MS, 0, 1)).toBe("again");
  expect(loop.silentMs).toBe(0);
  expect(look(LOOK_MS, 0, 1)).toBe("beats");
  for (let seconds = 1; seconds <= 9; seconds++) expect(look()).toBe("still");
  expect(look()).toBe("blocked");
});

test("a loop that beats at the first look after it was found blocked goes on, too", () => {
  const { look } = createWatch();
  look();
  for (let seconds = 1; seconds <= 10; seconds++) look();
  expect(look(LOOK_MS, 0, 1)).toBe("again");
});

test("a loop that was silent for less than ten seconds just beats", () => {
  const { look } = createWatch();
  look();
  for (let seconds = 1; seconds <= 9; seconds++) look();
  expect(look(LOOK_MS, 0, 1)).toBe("beats");
});

test("time in which the process was stopped counts for two looks at most", () => {
  const { loop, look } = createWatch();
  look();
  expect(look(3_600_000)).toBe("still");
  expect(loop.silentMs).toBe(2 * LOOK_MS);
  expect(look(2 * LOOK_MS - 1)).toBe("still");
  expect(loop.silentMs).toBe(4 * LOOK_MS - 1);
});

test("a loop has burned too much after 30 s of processor time without a beat", () => {
  const { look } = createWatch();
  look(LOOK_MS, 90_000);
  for (let seconds = 1; seconds <= 29; seconds++)
    expect(look(LOOK_MS, LOOK_MS)).toBe(seconds === 10 ? "blocked" : "still");
  expect(look(LOOK_MS, LOOK_MS - 1)).toBe("still");
  expect(look(1, 1)).toBe("burned");
  expect(look(LOOK_MS, LOOK_MS)).toBe("still");
});

test("a beat takes back what was burned, and a loop that sleeps burns nothing", () => {
  const { look } = createWatch();
  look();
  for (let seconds = 1; seconds <= 29; seconds++) look(LOOK_MS, LOOK_MS);
  expect(look(LOOK_MS, LOOK_MS, 1)).toBe("again");
  const verdicts = Array.from({ length: 100 }, () => look());
  expect(verdicts.filter((verdict) => verdict !== "still")).toEqual(["blocked"]);
  const burning = Array.from({ length: 29 }, () => look(LOOK_MS, LOOK_MS));
  expect(burning).not.toContain("burned");
  expect(look(LOOK_MS, LOOK_MS)).toBe("burned");
});

test("processor time of other threads does not count beyond the time that passes", () => {
  const { look } = createWatch();
  look();
  const verdicts = Array.from({ length: 29 }, () => look(LOOK_MS, 16 * LOOK_MS));
  expect(verdicts).not.toContain("burned");
  expect(look(LOOK_MS, 0)).toBe("burned");
});

test("the running step is named, else the waiting ones", () => {
  const steps = { beats: 3, running: null, further: 0 };
  expect(describeBlocker({ ...steps, running: "a", waiting: ["b"], further: 1 })).toBe("a");
  expect(describeBlocker({ ...steps, waiting: ["b"] })).toBe("b");
  expect(describeBlocker({ ...steps, waiting: ["b", "c"] })).toBe("one of these steps: b; c");
  expect(describeBlocker({ ...steps, waiting: ["b"], further: 2 })).toBe(
    "one of these steps: b; one of 2 others",
  );
  expect(describeBlocker({ ...steps, waiting: [] })).toBe("code that belongs to no step");
});
