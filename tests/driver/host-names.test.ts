// The names under which log lines of hosts are kept.

import { expect, test } from "bun:test";
import { HostNames, isSameKey } from "../../src/driver/host-names.ts";
import { createIdentity, createSeed } from "../../src/http/identity.ts";

test("a name goes to the next host when its owner is gone, and to a next life of its owner at once", () => {
  const present = new Set(["one"]);
  const names = new HostNames((id) => present.has(id));
  expect(names.nameOf("one")).toBeNull();
  names.note("one", "worker");
  names.note("two", "worker");
  expect([names.nameOf("one"), names.nameOf("two")]).toEqual(["worker", "two"]);
  present.delete("one");
  names.note("two", "worker");
  expect([names.nameOf("one"), names.nameOf("two")]).toEqual(["one", "worker"]);
  const seed = createSeed();
  const [first, next] = [createIdentity("w-1", seed).id, createIdentity("w-2", seed).id];
  present.add(first);
  names.note(first, "w");
  names.note(next, "w");
  expect(names.nameOf(next)).toBe("w");
});

test("no host has the name of the driver, and none has the id of another host as its name", () => {
  const names = new HostNames(() => true);
  names.note("one", "driver");
  names.note("two", "Driver");
  names.note("three", "one");
  expect(["one", "two", "three"].map((id) => names.nameOf(id))).toEqual(["one", "two", "three"]);
  names.note("four", "four");
  names.note("five", "drivers");
  expect([names.nameOf("four"), names.nameOf("five")]).toEqual(["four", "drivers"]);
});

test("the names of 10,000 hosts are remembered, and the oldest is forgotten first", () => {
  const names = new HostNames(() => true);
  for (let number = 0; number <= 10_000; number++) names.note(`h${number}`, `n${number}`);
  expect([names.nameOf("h0"), names.nameOf("h1")]).toEqual([null, "n1"]);
  names.note("h1", "n1");
  names.note("h-new", "n-new");
  expect([names.nameOf("h1"), names.nameOf("h2")]).toEqual(["n1", null]);
});

test("two ids without fingerprints have the same key only when they are equal", () => {
  expect([isSameKey("a", "a"), isSameKey("a", "b")]).toEqual([true, false]);
});
