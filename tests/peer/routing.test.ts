import { expect, test } from "bun:test";
import type { Destination } from "../../src/peer/destination.ts";
import { Routing } from "../../src/peer/routing.ts";
import { member } from "./one-broker.ts";

const WORK: Destination = { kind: "role", role: "work" };
const nobody = () => false;
const load = (busy: number, queued: number, slots: number) => ({ work: { busy, queued, slots } });

function routingOf(...members: readonly ReturnType<typeof member>[]): Routing {
  const routing = new Routing();
  routing.update(members);
  return routing;
}

/** A key whose first choice among the hosts is this one. */
function keyFor(routing: Routing, id: string): string {
  for (let key = 0; ; key++) if (routing.choose(WORK, `${key}`, 0, nobody) === id) return `${key}`;
}

test("a step goes to a host of its role, and to no host where no member serves it", () => {
  const routing = routingOf(member("a", ["work"]), member("b", ["other"]));
  expect(routing.choose(WORK, "0:1", 0, nobody)).toBe("a");
  expect(routing.choose({ kind: "role", role: "other" }, "0:1", 0, nobody)).toBe("b");
  expect(routing.choose({ kind: "role", role: "none" }, "0:1", 0, nobody)).toBeNull();
  expect(routing.choose(WORK, "0:1", 0, (id) => id === "a")).toBeNull();
});

test("an end goes to the driver, a fork to a host that serves any role, and the end of a branch to its process", () => {
  const routing = routingOf(member("driver", [], { isSink: true }), member("a", ["work"]));
  expect(routing.choose({ kind: "sink" }, "0:1", 0, nobody)).toBe("driver");
  expect(routing.choose({ kind: "any host" }, "0:1", 0, nobody)).toBe("a");
  expect(routing.choose({ kind: "process", id: "a" }, "0:1", 0, nobody)).toBe("a");
  expect(routing.choose({ kind: "process", id: "b" }, "0:1", 0, nobody)).toBeNull();
  expect(routing.choose({ kind: "process", id: "a" }, "0:1", 0, (id) => id === "a")).toBeNull();
});

test("a role can have any name, also one that looks like control", () => {
  const routing = routingOf(member("driver", [], { isSink: true }), member("a", ["", "+", "@b"]));
  for (const role of ["", "+", "@b"])
    expect(routing.choose({ kind: "role", role }, "0:1", 0, nobody)).toBe("a");
});

test("a host that leaves takes no steps and no forks, but the ends that it waits for", () => {
  const routing = routingOf(member("a", ["work"], { leaving: true }), member("b", ["work"]));
  for (let key = 0; key < 20; key++) expect(routing.choose(WORK, `${key}`, 0, nobody)).toBe("b");
  expect([routing.takesForks("a"), routing.takesForks("b")]).toEqual([false, true]);
  expect(routing.choose({ kind: "any host" }, "0:1", 0, (id) => id === "b")).toBeNull();
  expect(routing.choose({ kind: "process", id: "a" }, "0:1", 0, nobody)).toBe("a");
});

test("the driver takes no forks, and a process that is not a member neither", () => {
  const routing = routingOf(member("driver", [], { isSink: true }));
  expect([routing.takesForks("driver"), routing.takesForks("x")]).toEqual([false, false]);
});

test("a task keeps to its first choice, by the same hash for every role, and tasks spread over the hosts", () => {
  const hosts = ["a", "b", "c", "d"].map((id) => member(id, ["work", "other"]));
  const routing = routingOf(...hosts);
  const chosen = new Map<string, number>();
  for (let key = 0; key < 1000; key++) {
    const first = routing.choose(WORK, `0:${key}`, 0, nobody) ?? "";
    expect(routing.choose({ kind: "role", role: "other" }, `0:${key}`, 0, nobody)).toBe(first);
    chosen.set(first, (chosen.get(first) ?? 0) + 1);
  }
  for (const { id } of hosts) expect(chosen.get(id)).toBeWithin(190, 310);
});

test("a host that goes moves its own tasks and no others", () => {
  const hosts = ["a", "b", "c", "d"].map((id) => member(id, ["work"]));
  const before = routingOf(...hosts);
  const after = routingOf(...hosts.slice(0, 3));
  for (let key = 0; key < 300; key++) {
    const first = before.choose(WORK, `0:${key}`, 0, nobody);
    if (first !== "d") expect(after.choose(WORK, `0:${key}`, 0, nobody)).toBe(first);
  }
});

test("a full first choice gives way to the second candidate only when that one is less loaded", () => {
  const routing = routingOf(member("a", ["work"]), member("b", ["work"]));
  const key = keyFor(routing, "a");
  const choose = (a: ReturnType<typeof load>, b: ReturnType<typeof load>) => {
    routing.noteLoad("a", a);
    routing.noteLoad("b", b);
    return routing.choose(WORK, key, 0, nobody);
  };
  expect(choose(load(3, 0, 4), load(0, 0, 4))).toBe("a"); // a slot is free
  expect(choose(load(4, 0, 4), load(3, 0, 4))).toBe("b");
  expect(choose(load(2, 2, 4), load(3, 0, 4))).toBe("b"); // what waits counts like what runs
  expect(choose(load(4, 0, 4), load(4, 0, 4))).toBe("a");
  expect(choose(load(4, 1, 4), load(4, 2, 4))).toBe("a");
  expect(choose(load(8, 0, 8), load(4, 1, 4))).toBe("a"); // in slots, not in steps
  expect(choose(load(1, 0, 0), load(0, 0, 4))).toBe("b"); // no slots count as one
});

test("an unknown load, or one of other roles, counts as none", () => {
  const routing = routingOf(member("a", ["work"]), member("b", ["work"]));
  const key = keyFor(routing, "a");
  routing.noteLoad("a", { other: { busy: 9, queued: 9, slots: 1 } });
  expect(routing.choose(WORK, key, 0, nobody)).toBe("a");
  routing.noteLoad("a", load(9, 0, 1));
  expect(routing.choose(WORK, key, 0, nobody)).toBe("b");
  routing.noteLoad("nobody", load(9, 0, 1));
});

test("of three hosts only the two first choices count, however idle the third is", () => {
  const routing = routingOf(member("a", ["work"]), member("b", ["work"]), member("c", ["work"]));
  for (let key = 0; key < 50; key++) {
    const first = routing.choose(WORK, `${key}`, 0, nobody);
    const second = routing.choose(WORK, `${key}`, 0, (id) => id === first);
    for (const id of ["a", "b", "c"])
      routing.noteLoad(id, id === first || id === second ? load(5, 5, 1) : load(0, 0, 1));
    expect(routing.choose(WORK, `${key}`, 0, nobody)).toBe(first);
    for (const id of ["a", "b", "c"]) routing.noteLoad(id, {});
  }
});

test("a member that is passed over gets nothing before its time, and everything from then on", () => {
  const routing = routingOf(member("a", ["work"]), member("b", ["work"]));
  const key = keyFor(routing, "a");
  routing.passOver("a", 100);
  expect([routing.choose(WORK, key, 99, nobody), routing.choose(WORK, key, 100, nobody)]).toEqual([
    "b",
    "a",
  ]);
  expect([routing.isPassedOver("a", 99), routing.isPassedOver("a", 100)]).toEqual([true, false]);
  expect(routing.choose({ kind: "process", id: "a" }, key, 99, nobody)).toBeNull();
  routing.reached("a");
  expect(routing.choose(WORK, key, 99, nobody)).toBe("a");
  routing.passOver("unknown", 100);
  expect(routing.isPassedOver("unknown", 0)).toBe(false);
});

test("an update keeps what is known of members that stay, and forgets those that are gone", () => {
  const a = member("a", ["work"]);
  const routing = routingOf(a, member("b", ["work"]));
  const key = keyFor(routing, "a");
  routing.noteLoad("a", load(9, 0, 1));
  routing.passOver("b", 100);
  routing.update([{ ...a, name: "renamed" }, member("b", ["work"])]);
  expect(routing.members.map(({ name }) => name)).toEqual(["renamed", "b"]);
  expect([routing.choose(WORK, key, 0, nobody), routing.choose(WORK, key, 100, nobody)]).toEqual([
    "a",
    "b",
  ]);
  routing.update([member("b", ["work"])]);
  expect([routing.has("a"), routing.has("b"), routing.addressOf("a")]).toEqual([false, true, null]);
  expect(routing.addressOf("b")).toBe("http://b");
  routing.update([member("a", ["work"]), member("b", ["work"])]);
  expect(routing.choose(WORK, key, 0, nobody)).toBe("a");
});
