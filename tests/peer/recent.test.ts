import { expect, test } from "bun:test";
import { Recent } from "../../src/peer/recent.ts";

test("a value is known until it was not set for a whole generation", () => {
  const recent = new Recent<string>(100, 1000);
  recent.set("a", 1);
  recent.turn(1099); // too early to count
  recent.turn(1100);
  expect(recent.get("a")).toBe(1);
  recent.turn(1199);
  expect(recent.get("a")).toBe(1);
  recent.turn(1200);
  expect(recent.get("a")).toBeUndefined();
});

test("a value that is set again stays, and the latest one is told", () => {
  const recent = new Recent<string>(100, 0);
  recent.set("a", 1);
  recent.turn(100);
  recent.set("a", 2);
  expect(recent.get("a")).toBe(2);
  recent.turn(200);
  expect(recent.get("a")).toBe(2);
  expect(recent.get("b")).toBeUndefined();
});

test("generations are counted from the turn that began them, however late it came", () => {
  const recent = new Recent<string>(100, 0);
  recent.turn(150);
  recent.set("a", 1);
  recent.turn(249);
  recent.turn(250);
  recent.turn(349);
  expect(recent.get("a")).toBe(1);
});
