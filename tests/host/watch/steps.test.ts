// The steps that a second thread reads while this one is blocked.

import { expect, test } from "bun:test";
import { readSteps, WatchedSteps } from "../../../src/host/watch/steps.ts";

test("the step whose agent was called is named until the agent returns", () => {
  const steps = new WatchedSteps();
  expect(readSteps(steps.memory)).toEqual({ beats: 0, running: null, waiting: [], further: 0 });
  steps.begin("role a, row élan, trial 0");
  expect(readSteps(steps.memory).running).toBe("role a, row élan, trial 0");
  steps.begin("role b");
  expect(readSteps(steps.memory).running).toBe("role b");
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
  const all = Array.from({ length: 9 }, (_, index) => ({ name: `step ${index}` }));
  for (const step of all) steps.keep(step, () => step.name);
  const names = all.map(({ name }) => name);
  expect(readSteps(steps.memory).waiting).toEqual(names.slice(0, 8));
  expect(readSteps(steps.memory).running).toBeNull();
  // The ninth has no place, and is counted.
  expect(readSteps(steps.memory).further).toBe(1);
  for (const step of all.slice(1)) steps.drop(step);
  expect(readSteps(steps.memory)).toMatchObject({ waiting: ["step 0"], further: 0 });
  const next = {};
  steps.keep(next, () => "next");
  expect(readSteps(steps.memory).waiting.toSorted()).toEqual(["next", "step 0"]);
  for (const step of [next, next, all[0] ?? {}]) steps.drop(step);
  for (const step of all) steps.keep(step, () => step.name);
  expect(readSteps(steps.memory).waiting.toSorted()).toEqual(names.slice(0, 8));
});

test("a name is cut after 200 characters and does not run into the next one", () => {
  const steps = new WatchedSteps();
  steps.keep({}, () => "waits");
  steps.begin("x".repeat(200));
  expect(readSteps(steps.memory).running).toBe("x".repeat(200));
  steps.begin(`${"y".repeat(200)}z`);
  expect(readSteps(steps.memory)).toEqual({
    ...{ beats: 0, running: "y".repeat(200), waiting: ["waits"], further: 0 },
  });
});
