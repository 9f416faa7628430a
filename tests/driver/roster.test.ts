// The driver's list of hosts: its versions, its beats, and the silent ones.

import { expect, test } from "bun:test";
import { Roster } from "../../src/driver/roster.ts";
import { member } from "../peer/one-broker.ts";

const DRIVER = member("driver", [], { isSink: true });
const LOAD = { work: { busy: 1, queued: 2, slots: 3 } };

function beatOf(id: string, { leaving = false } = {}) {
  return { member: member(id, ["work"], { leaving }), load: LOAD, known: null };
}

test("a new host changes the version of the list, and a further beat of it does not", () => {
  const roster = new Roster(DRIVER, 1000);
  expect(roster.list).toEqual({ version: { driver: "driver", version: 1 }, members: [DRIVER] });
  expect(roster.beat(beatOf("a"), 5)).toEqual({ isNew: true, joining: "driver/2" });
  expect(roster.beat(beatOf("b"), 6)).toEqual({ isNew: true, joining: "driver/3" });
  expect(roster.beat(beatOf("a"), 7)).toEqual({ isNew: false, joining: "driver/2" });
  expect(roster.list).toEqual({
    version: { driver: "driver", version: 3 },
    members: [DRIVER, member("a", ["work"]), member("b", ["work"])],
  });
  expect(roster.hosts).toMatchObject([
    { member: { id: "a" }, load: LOAD, seenAt: 7 },
    { member: { id: "b" }, load: LOAD, seenAt: 6 },
  ]);
  expect([roster.has("a"), roster.has("c"), roster.has("driver")]).toEqual([true, false, false]);
});

test("a host that begins to leave changes the version, and keeps its joining", () => {
  const roster = new Roster(DRIVER, 1000);
  roster.beat(beatOf("a"), 0);
  expect(roster.beat(beatOf("a", { leaving: true }), 1)).toEqual({
    isNew: false,
    joining: "driver/2",
  });
  expect(roster.list.version.version).toBe(3);
  expect(roster.list.members[1]?.leaving).toBe(true);
  roster.beat(beatOf("a", { leaving: true }), 2);
  expect(roster.list.version.version).toBe(3);
});

test("a host that is removed changes the version once, and has a new joining when it is back", () => {
  const roster = new Roster(DRIVER, 1000);
  roster.beat(beatOf("a"), 0);
  expect([roster.remove("a"), roster.remove("a")]).toEqual([true, false]);
  expect(roster.list.version.version).toBe(3);
  expect(roster.beat(beatOf("a"), 1)).toEqual({ isNew: true, joining: "driver/4" });
});

test("a host is silent when more than the allowed time has passed since its last beat", () => {
  const roster = new Roster(DRIVER, 1000);
  roster.beat(beatOf("a"), 0);
  roster.beat(beatOf("b"), 500);
  expect(roster.silent(1000)).toEqual([]);
  expect(roster.silent(1001)).toEqual(["a"]);
  expect(roster.silent(1501)).toEqual(["a", "b"]);
  roster.beat(beatOf("a"), 1501);
  expect(roster.silent(1501)).toEqual(["b"]);
});

test("a host knows the list when it names its driver and its version", () => {
  const roster = new Roster(DRIVER, 1000);
  expect(roster.knows({ driver: "driver", version: 1 })).toBe(true);
  expect(roster.knows({ driver: "driver", version: 2 })).toBe(false);
  expect(roster.knows({ driver: "other", version: 1 })).toBe(false);
  expect(roster.knows(null)).toBe(false);
});
