// The coordinator: how it forms, what it takes over, which hosts it gives up, and what it tells.

import { expect, test } from "bun:test";
import type { CensusPhase } from "../../src/driver/census.ts";
import { Coordinator } from "../../src/driver/coordinator.ts";
import type { HostId } from "../../src/peer/member.ts";
import { keyOf } from "../../src/peer/parcel.ts";
import { batch, createBroker, end, member, parcel, step } from "../peer/one-broker.ts";

const DRIVER = member("self", [], { isSink: true });
const FORMING_MS = 5000;
const SILENCE_MS = 2000;
const PATIENCE_MS = 1000;
const LOAD = { work: { busy: 0, queued: 0, slots: 1 } };

function createCoordinator(expected: readonly HostId[] = []) {
  const { broker, routing } = createBroker();
  const clock = { now: 10_000 };
  const told: string[] = [];
  const asked: { host: HostId; number: number; phase: CensusPhase }[] = [];
  const tasks = { inFlight: new Set<string>(), refusesToAdopt: new Set<string>() };
  const coordinator = new Coordinator({
    self: DRIVER,
    broker,
    routing,
    tasks: {
      keys: () => tasks.inFlight,
      adopt: (key, attempt) => {
        if (tasks.refusesToAdopt.has(key)) return false;
        told.push(`adopt ${key} ${attempt}`);
        return true;
      },
      orphan: (key) => tasks.inFlight.delete(key),
    },
    expected: new Set(expected),
    formingMs: FORMING_MS,
    silenceMs: SILENCE_MS,
    censusPatienceMs: PATIENCE_MS,
    firstCensus: 0,
    ask: (host, number, phase) => void asked.push({ host, number, phase }),
    watcher: {
      joined: ({ id }) => void told.push(`${id} joined`),
      left: ({ id }, why) => void told.push(`${id} ${why}`),
      formed: (adopted) => void told.push(`formed ${adopted}`),
      orphaned: (keys) => void told.push(`orphaned ${keys.join(",")}`),
    },
    now: () => clock.now,
  });
  const beat = (id: HostId, { leaving = false, known = -1, load = LOAD } = {}) =>
    coordinator.beat({
      member: member(id, ["work"], { leaving }),
      load,
      known: known < 0 ? null : { driver: "self", version: known },
    });
  const takeTold = () => told.splice(0);
  /** Lets every host that was asked answer, until none is asked any more. */
  const count = (held: Record<HostId, Record<string, number>> = {}) => {
    for (let next = asked.shift(); next !== undefined; next = asked.shift()) {
      const { host, number, phase } = next;
      const answer = phase === "begin" ? null : new Map(Object.entries(held[host] ?? {}));
      coordinator.counted(host, number, phase, answer);
    }
  };
  /** A coordinator with these hosts that is running. */
  const run = (...hosts: readonly HostId[]) => {
    for (const id of hosts) beat(id);
    coordinator.tick();
    count();
    takeTold();
  };
  return { coordinator, broker, routing, clock, tasks, asked, beat, takeTold, count, run };
}

test("a coordinator that expects no host runs from its first tick", () => {
  const { coordinator, beat, takeTold } = createCoordinator();
  expect(beat("a").state).toBe("forming");
  coordinator.tick();
  expect(takeTold()).toEqual(["a joined"]);
  expect(beat("a").state).toBe("running");
});

test("a coordinator without a host has formed when it has asked itself", () => {
  const { coordinator, takeTold } = createCoordinator();
  coordinator.tick();
  expect([takeTold(), coordinator.censusRunning]).toEqual([["formed 0"], false]);
});

test("a coordinator forms as long as an expected host is missing, up to its time", () => {
  const { coordinator, clock, beat, takeTold, count } = createCoordinator(["a", "b"]);
  beat("a");
  coordinator.tick();
  clock.now += FORMING_MS - 1;
  beat("a");
  coordinator.tick();
  expect(beat("a")).toMatchObject({ state: "forming", list: null });
  clock.now += 1;
  coordinator.tick();
  count();
  expect(takeTold()).toEqual(["a joined", "formed 0"]);
});

test("a coordinator forms at once when all expected hosts are there", () => {
  const { coordinator, beat, takeTold, count } = createCoordinator(["a", "b"]);
  beat("a");
  coordinator.tick();
  beat("b");
  coordinator.tick();
  count();
  expect(takeTold()).toEqual(["a joined", "b joined", "formed 0"]);
});

test("a host learns the list only when the coordinator has formed, and once for each version", () => {
  const { coordinator, beat, count } = createCoordinator();
  expect(beat("a")).toEqual({ state: "forming", joining: "self/2", list: null });
  coordinator.tick();
  count();
  const list = {
    version: { driver: "self", version: 2 },
    members: [DRIVER, member("a", ["work"])],
  };
  expect(beat("a")).toEqual({ state: "running", joining: "self/2", list });
  expect(beat("a", { known: 2 })).toEqual({ state: "running", joining: "self/2", list: null });
  expect(beat("a", { known: 1 }).list).toEqual(list);
});

test("a coordinator adopts what hosts hold, and counts the tasks that it took over", () => {
  const { coordinator, tasks, beat, takeTold, count } = createCoordinator(["a"]);
  tasks.refusesToAdopt.add("known");
  beat("a");
  coordinator.tick();
  expect(beat("a").state).toBe("running");
  count({ a: { x: 2, known: 1, y: 1 } });
  expect(takeTold()).toEqual(["a joined", "adopt x 2", "adopt y 1", "formed 2"]);
});

test("what the driver itself holds counts in the census", () => {
  const { coordinator, broker, tasks, run, count, takeTold } = createCoordinator();
  run("a");
  broker.submit(step({ rowId: "1", role: "work" }));
  tasks.inFlight = new Set([keyOf({ rowId: "1", trial: 0 }), "gone"]);
  coordinator.recount();
  count();
  expect(takeTold()).toEqual(["orphaned gone"]);
});

test("what the driver let go of after the census began was still there", () => {
  const { coordinator, broker, tasks, run, count, takeTold } = createCoordinator();
  run("a");
  const held = end({ rowId: "1" });
  broker.receive("a", batch({ parcels: [parcel(1, held)] }));
  tasks.inFlight = new Set([keyOf({ rowId: "1", trial: 0 }), "gone"]);
  coordinator.recount();
  broker.complete(held);
  count();
  expect(takeTold()).toEqual(["orphaned gone"]);
});

test("after a death the tasks that no process holds are orphans, and only those still in flight are told", () => {
  const { coordinator, tasks, run, takeTold, count, asked } = createCoordinator();
  run("a", "b");
  tasks.inFlight = new Set(["x", "y", "z"]);
  coordinator.remove("b", "died");
  expect(takeTold()).toEqual(["b died"]);
  expect(asked.map(({ host }) => host)).toEqual(["a"]);
  tasks.inFlight.delete("z");
  count({ a: { x: 1 } });
  expect(takeTold()).toEqual(["orphaned y"]);
});

test("a census that finds every task tells nothing", () => {
  const { coordinator, tasks, run, takeTold, count } = createCoordinator();
  run("a");
  tasks.inFlight = new Set(["x"]);
  coordinator.recount();
  count({ a: { x: 1 } });
  expect(takeTold()).toEqual([]);
});

test("a host that left is reported as left, and an unknown host changes nothing", () => {
  const { coordinator, run, takeTold, count, asked } = createCoordinator();
  run("a", "b");
  coordinator.remove("c", "died");
  expect([takeTold(), asked]).toEqual([[], []]);
  coordinator.remove("a", "left");
  expect(takeTold()).toEqual(["a left"]);
  count();
  coordinator.remove("a", "died");
  expect([takeTold(), coordinator.hosts.map(({ member }) => member.id)]).toEqual([[], ["b"]]);
});

test("a host is given up when it is silent for longer than allowed, and is new when it is back", () => {
  const { coordinator, clock, routing, run, beat, takeTold, count } = createCoordinator();
  run("a", "b");
  clock.now += SILENCE_MS;
  coordinator.tick();
  expect(takeTold()).toEqual([]);
  beat("b");
  clock.now += 1;
  coordinator.tick();
  expect(takeTold()).toEqual(["a died"]);
  expect([routing.has("a"), routing.has("b")]).toEqual([false, true]);
  count();
  expect(beat("a").joining).toBe("self/5");
  expect([takeTold(), routing.has("a")]).toEqual([["a joined"], true]);
});

test("a census is taken on request only while the coordinator is running", () => {
  const { coordinator, asked, beat, count } = createCoordinator(["a"]);
  beat("other");
  coordinator.recount();
  expect([asked, coordinator.censusRunning]).toEqual([[], false]);
  coordinator.remove("other", "left");
  beat("a");
  coordinator.tick();
  count();
  coordinator.recount();
  expect([asked.map(({ phase }) => phase), coordinator.censusRunning]).toEqual([["begin"], true]);
  count();
  coordinator.end(() => false);
  coordinator.recount();
  expect([asked, coordinator.censusRunning]).toEqual([[], false]);
});

test("a host that dies while the coordinator forms starts no census", () => {
  const { coordinator, clock, asked, beat, takeTold } = createCoordinator(["a", "b"]);
  beat("a");
  clock.now += SILENCE_MS + 1;
  coordinator.tick();
  expect([takeTold(), asked]).toEqual([["a joined", "a died"], []]);
});

test("a host that joins during a census makes it begin anew, with the new host", () => {
  const { coordinator, run, beat, asked } = createCoordinator();
  run("a");
  coordinator.recount();
  asked.splice(0);
  beat("b");
  expect(asked.map(({ host, phase }) => `${host} ${phase}`)).toEqual(["a begin", "b begin"]);
  // A further beat changes nothing.
  beat("b");
  expect(asked).toHaveLength(2);
});

test("a host that does not answer the census is asked again after the patience", () => {
  const { coordinator, clock, run, asked } = createCoordinator();
  run("a");
  coordinator.recount();
  asked.splice(0);
  clock.now += PATIENCE_MS - 1;
  coordinator.tick();
  expect(asked).toEqual([]);
  clock.now += 1;
  coordinator.tick();
  expect(asked.map(({ host }) => host)).toEqual(["a"]);
});

test("a beat tells the driver's routing how busy the host is", () => {
  const { routing, run, beat } = createCoordinator();
  run("a", "b");
  const task = (key: string) => routing.choose({ kind: "role", role: "work" }, key, 0, () => false);
  const keys = Array.from({ length: 20 }, (_, index) => `${index}/0`);
  expect(new Set(keys.map(task)).size).toBe(2);
  beat("a", { load: { work: { busy: 1, queued: 50, slots: 1 } } });
  beat("b", { load: { work: { busy: 0, queued: 0, slots: 1 } } });
  expect(new Set(keys.map(task))).toEqual(new Set(["b"]));
});

test("hosts are told that the run is over once it has ended", () => {
  const { coordinator, run, beat } = createCoordinator();
  run("a");
  coordinator.end(() => false);
  expect(beat("a").state).toBe("over");
});

test("a host that keeps its tasks is told that the driver stopped, and another that the run is over", () => {
  const { coordinator, run, beat } = createCoordinator();
  run("agent", "worker");
  expect(coordinator.untold).toBe(2);
  coordinator.end((id) => id === "agent");
  expect(coordinator.untold).toBe(2);
  expect([beat("agent").state, coordinator.untold]).toEqual(["stopped", 1]);
  expect([beat("worker").state, coordinator.untold]).toEqual(["over", 1]);
  coordinator.remove("worker", "left");
  expect(coordinator.untold).toBe(0);
});

test("the driver is its own only member until the coordinator has formed", () => {
  const { coordinator, routing, beat } = createCoordinator();
  beat("a");
  expect(routing.members).toEqual([DRIVER]);
  coordinator.tick();
  expect(routing.members.map(({ id }) => id)).toEqual(["self", "a"]);
});

test("a host that was shut out is gone, and is told to begin another life, at every beat", () => {
  const { coordinator, beat, run, takeTold } = createCoordinator();
  run("a", "b");
  expect(coordinator.isFenced("a")).toBe(false);
  coordinator.fence("a");
  expect(takeTold()).toContain("a died");
  expect(coordinator.isFenced("a")).toBe(true);
  expect(coordinator.hosts.map(({ member }) => member.id)).toEqual(["b"]);
  for (let beats = 0; beats < 2; beats++)
    expect(beat("a")).toEqual({ state: "rejoin", joining: "", list: null });
  expect(coordinator.hosts).toHaveLength(1);
  expect(beat("b").state).toBe("running");
});
