// The steps that a second thread reads while this one is blocked.

import { expect, test } from "bun:test";
import { readSteps, WatchedSteps } from "../../../src/host/watch/steps.ts";

test("the step whose agent was called is named until the agent returns", () => {
  const steps = new WatchedSteps();
  expect(readSteps(steps.memory)).toEqual({ beats: 0, running: null, waiting: [], further: 0 });
  steps.begin({ role: "a", rowId: "élan", trial: 0 });
  expect(readSteps(steps.memory).running).toBe("role a, row élan, trial 0");
  steps.begin({ role: "best", rowId: "7", trial: 12 });
  expect(readSteps(steps.memory).running).toBe("role best, row 7, trial 12");
  steps.returned();
  expect(readSteps(steps.memory).running).toBeNull();
});

test("each beat is counted", () => {
  const steps = new WatchedSteps();
  steps.beat();
  steps.beat();
  expect(readSteps(steps.memory).beats).toBe(2);
});

test("eight steps that wait are named until they are settled, and their places are used again", () => {
  const steps = new WatchedSteps();
  const all = Array.from({ length: 9 }, (_, trial) => ({ role: "a", rowId: "r", trial }));
  for (const step of all) steps.keep(step, step);
  const names = all.map(({ trial }) => `role a, row r, trial ${trial}`);
  expect(readSteps(steps.memory).waiting).toEqual(names.slice(0, 8));
  expect(readSteps(steps.memory).running).toBeNull();
  // The ninth has no place, and is counted.
  expect(readSteps(steps.memory).further).toBe(1);
  for (const step of all.slice(1)) steps.drop(step);
  expect(readSteps(steps.memory)).toMatchObject({
    waiting: names.slice(0, 1),
    further: 0,
  });
  const next = {};
  steps.keep(next, { role: "b", rowId: "next", trial: 1 });
  expect(readSteps(steps.memory).waiting.toSorted()).toEqual([
    "role a, row r, trial 0",
    "role b, row next, trial 1",
  ]);
  for (const step of [next, next, all[0] ?? {}]) steps.drop(step);
  for (const step of all) steps.keep(step, step);
  expect(readSteps(steps.memory).waiting.toSorted()).toEqual(names.slice(0, 8));
});

test("long names are cut, a role after 80 letters and a row after 120, and do not run into others", () => {
  const steps = new WatchedSteps();
  const waits = { role: "w", rowId: "waits", trial: 3 };
  steps.keep(waits, waits);
  const longest = { role: "x".repeat(80), rowId: "r".repeat(120), trial: 1 };
  const running = `role ${longest.role}, row ${longest.rowId}, trial 1`;
  steps.begin(longest);
  expect(readSteps(steps.memory).running).toBe(running);
  steps.begin({ role: `${longest.role}y`, rowId: `${longest.rowId}s`, trial: 1 });
  expect(readSteps(steps.memory)).toEqual({
    ...{ beats: 0, running, waiting: ["role w, row waits, trial 3"], further: 0 },
  });
});
