// Hosts are told of tasks that have their record.

import { expect, test } from "bun:test";
import { EndedTasks } from "../../src/driver/ended-tasks.ts";
import { member } from "../peer/one-broker.ts";

const KEEPER = member("keeper", ["plain", "boxed"]);
const OTHER = member("other", ["plain"]);

test("a host of a role that keeps something is told of each ended task once, in order", () => {
  const ended = new EndedTasks(new Set(["boxed"]));
  ended.add("x", 0, [KEEPER, OTHER]);
  ended.add("x", 1, [OTHER, KEEPER]);
  expect(ended.take("keeper")).toEqual([
    ["x", 0],
    ["x", 1],
  ]);
  expect([ended.take("keeper"), ended.take("other"), ended.take("unknown")]).toEqual([[], [], []]);
  ended.add("y", 0, [KEEPER]);
  expect(ended.take("keeper")).toEqual([["y", 0]]);
});

test("a host that is gone is told of nothing that ended before", () => {
  const ended = new EndedTasks(new Set(["boxed"]));
  const second = member("second", ["boxed"]);
  ended.add("x", 0, [KEEPER, second]);
  ended.forget("keeper");
  expect(ended.take("keeper")).toEqual([]);
  expect(ended.take("second")).toEqual([["x", 0]]);
});

test("a host is told of 10,000 tasks at most at once", () => {
  const ended = new EndedTasks(new Set(["boxed"]));
  for (let row = 0; row < 10_001; row++) ended.add(String(row), 0, [KEEPER]);
  const told = ended.take("keeper");
  expect([told.length, told.at(-1)]).toEqual([10_000, ["9999", 0]]);
});
