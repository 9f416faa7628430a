// A role's queue and slots.

import { expect, test } from "bun:test";
import { Role } from "../../src/host/role.ts";
import { task } from "../peer/one-broker.ts";

const agent = { run: () => ({ result: null }) };
const createRole = (concurrency: number) =>
  new Role({ name: "a", agent, concurrency, timeoutMs: 7000, retries: 0 });

test("a role has the name, the agent, the slots and the timeout that it was made with", () => {
  const role = createRole(3);
  expect([role.name, role.agent, role.slots, role.timeoutMs, role.draining]).toEqual([
    ...["a", agent, 3],
    ...[7000, false],
  ]);
  expect([role.busy, role.queued]).toEqual([0, 0]);
});

test("steps are taken in the order in which they came, as many as there are slots", () => {
  const role = createRole(2);
  const tasks = ["1", "2", "3"].map((rowId) => task({ rowId }));
  for (const [index, one] of tasks.entries()) role.push(one, 100 + index);
  expect([role.busy, role.queued]).toEqual([0, 3]);
  expect(role.take()).toEqual({ task: tasks[0] as (typeof tasks)[0], arrivedAt: 100 });
  expect(role.take()?.arrivedAt).toBe(101);
  expect(role.take()).toBeUndefined();
  expect([role.busy, role.queued]).toEqual([2, 1]);
  role.release();
  expect(role.busy).toBe(1);
  expect(role.take()?.arrivedAt).toBe(102);
  expect([role.busy, role.queued]).toEqual([2, 0]);
});

test("a role without a waiting step keeps its slots free", () => {
  const role = createRole(1);
  expect(role.take()).toBeUndefined();
  expect(role.busy).toBe(0);
});

test("steps that are taken out of the queue are gone from it, in order, and slots stay as they are", () => {
  const role = createRole(1);
  for (const rowId of ["1", "2", "3"]) role.push(task({ rowId }), 0);
  role.take();
  expect(role.takeWaiting().map(({ rowId }) => rowId)).toEqual(["2", "3"]);
  expect([role.takeWaiting(), role.busy, role.queued]).toEqual([[], 1, 0]);
});
