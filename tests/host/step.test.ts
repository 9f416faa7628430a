// A step's signal, which is made only when an agent asks for it.

import { expect, test } from "bun:test";
import { Role } from "../../src/host/role.ts";
import { Step } from "../../src/host/step.ts";
import { task } from "../peer/one-broker.ts";

const agent = { run: () => ({ result: null }) };
const role = new Role({ name: "a", agent, concurrency: 1, timeoutMs: 1, retries: 0 });
const createStep = () => new Step(task(), role, 5, 8);

test("a step knows its task, its role and its times, and is not settled", () => {
  const step = createStep();
  expect(step.task).toEqual(task());
  expect([step.role, step.arrivedAt, step.startedAt, step.settled]).toEqual([role, 5, 8, false]);
});

test("the signal of a step aborts with the step, for its reason, and is one and the same", () => {
  const step = createStep();
  const { signal } = step;
  expect([signal.aborted, step.signal === signal]).toEqual([false, true]);
  const reason = new Error("too late");
  step.abort(reason);
  expect([signal.aborted, signal.reason]).toEqual([true, reason]);
  expect(step.signal).toBe(signal);
});

test("a signal that is asked for after the abort is aborted already, for the same reason", () => {
  const step = createStep();
  const reason = new Error("too late");
  step.abort(reason);
  expect([step.signal.aborted, step.signal.reason]).toEqual([true, reason]);
});
