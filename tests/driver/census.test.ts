// The census: which processes it asks, when it begins anew, and what it finds missing.

import { expect, test } from "bun:test";
import { Census, type CensusPhase } from "../../src/driver/census.ts";
import type { HostId } from "../../src/peer/member.ts";

const PATIENCE_MS = 1000;

/** A census whose questions are collected; tests answer them. */
function createCensus({ hosts = ["a", "b"], inFlight = ["x", "y"] } = {}) {
  const asked: string[] = [];
  const results: { missing: readonly string[]; found: readonly (readonly [string, number])[] }[] =
    [];
  const world = { hosts: hosts as readonly HostId[], inFlight: inFlight as readonly string[] };
  const census = new Census({
    ask: (host, number, phase) => void asked.push(`${host} ${number} ${phase}`),
    hosts: () => world.hosts,
    inFlight: () => world.inFlight,
    onResult: (missing, found) => void results.push({ missing, found: [...found] }),
    firstNumber: 100,
    patienceMs: PATIENCE_MS,
  });
  const take = () => asked.splice(0);
  /** Answers as a host that noted these tasks. */
  const answer = (
    host: HostId,
    number: number,
    phase: CensusPhase,
    held: Record<string, number> | null = null,
    now = 0,
  ) =>
    census.answer(host, number, phase, held === null ? null : new Map(Object.entries(held)), now);
  return { census, world, results, take, answer };
}

test("a census asks every process to begin, then what it noted, and names the tasks that no process has", () => {
  const { census, results, take, answer } = createCensus({ inFlight: ["x", "y", "z"] });
  expect(census.running).toBe(false);
  census.request(0);
  expect(census.running).toBe(true);
  expect(take()).toEqual(["a 101 begin", "b 101 begin"]);
  answer("a", 101, "begin");
  expect(take()).toEqual([]);
  answer("b", 101, "begin");
  expect(take()).toEqual(["a 101 collect", "b 101 collect"]);
  answer("a", 101, "collect", { x: 1, other: 4 });
  expect(results).toEqual([]);
  answer("b", 101, "collect", {});
  expect(results).toEqual([
    {
      missing: ["y", "z"],
      found: [
        ["x", 1],
        ["other", 4],
      ],
    },
  ]);
  expect(census.running).toBe(false);
});

test("a task that two processes noted is found with the later of its attempts", () => {
  for (const [first, second] of [
    [2, 3],
    [3, 2],
  ] as const) {
    const { census, results, answer } = createCensus();
    census.request(0);
    for (const host of ["a", "b"]) answer(host, 101, "begin");
    answer("a", 101, "collect", { x: first });
    answer("b", 101, "collect", { x: second, y: 1 });
    expect(results).toEqual([
      {
        missing: [],
        found: [
          ["x", 3],
          ["y", 1],
        ],
      },
    ]);
  }
});

test("tasks that were admitted after the census began are not missing", () => {
  const { census, world, results, answer } = createCensus({ hosts: ["a"], inFlight: ["x"] });
  census.request(0);
  world.inFlight = ["x", "late"];
  answer("a", 101, "begin");
  answer("a", 101, "collect", {});
  expect(results).toEqual([{ missing: ["x"], found: [] }]);
});

test("a census begins anew, with the next number, when the hosts change", () => {
  const { census, world, results, take, answer } = createCensus();
  census.request(0);
  answer("a", 101, "begin");
  answer("b", 101, "begin");
  answer("a", 101, "collect", { x: 1 });
  take();
  world.hosts = ["a", "c"];
  census.hostsChanged(10);
  expect(take()).toEqual(["a 102 begin", "c 102 begin"]);
  // Answers to the earlier number are late, and count for nothing.
  answer("b", 101, "collect", { y: 1 });
  answer("a", 101, "begin");
  answer("c", 102, "begin");
  expect([take(), results]).toEqual([[], []]);
  answer("a", 102, "begin");
  expect(take()).toEqual(["a 102 collect", "c 102 collect"]);
  answer("a", 102, "collect", {});
  answer("c", 102, "collect", { x: 1 });
  expect(results).toEqual([{ missing: ["y"], found: [["x", 1]] }]);
});

test("hosts that change while no census runs start none", () => {
  const { census, take } = createCensus();
  census.hostsChanged(0);
  expect([census.running, take()]).toEqual([false, []]);
});

test("an answer to the other question of the same census counts for nothing", () => {
  const { census, take, answer } = createCensus({ hosts: ["a"] });
  census.request(0);
  answer("a", 101, "collect", { x: 1 });
  expect(take()).toEqual(["a 101 begin"]);
  answer("a", 101, "begin");
  expect(take()).toEqual(["a 101 collect"]);
  answer("a", 101, "begin");
  expect([census.running, take()]).toEqual([true, []]);
});

test("a process that cannot say what it noted makes the census begin anew", () => {
  const { census, results, take, answer } = createCensus({ hosts: ["a"] });
  census.request(0);
  answer("a", 101, "begin");
  take();
  answer("a", 101, "collect", null);
  expect([take(), results, census.running]).toEqual([["a 102 begin"], [], true]);
});

test("a process that has not answered within the patience is asked again, and no other is", () => {
  const { census, take, answer } = createCensus();
  census.request(5000);
  answer("a", 101, "begin", null, 5000);
  take();
  census.tick(5999);
  expect(take()).toEqual([]);
  census.tick(6000);
  expect(take()).toEqual(["b 101 begin"]);
  census.tick(6999);
  expect(take()).toEqual([]);
  census.tick(7000);
  expect(take()).toEqual(["b 101 begin"]);
  // The second question has its own patience.
  answer("b", 101, "begin", null, 7500);
  take();
  census.tick(8499);
  expect(take()).toEqual([]);
  census.tick(8500);
  expect(take()).toEqual(["a 101 collect", "b 101 collect"]);
});

test("a tick without a census asks no process", () => {
  const { census, take } = createCensus();
  census.tick(1e9);
  expect(take()).toEqual([]);
});

test("a census that is requested while one runs is taken after it, once", () => {
  const { census, results, take, answer } = createCensus({ hosts: ["a"] });
  census.request(0);
  census.request(0);
  census.request(0);
  expect(take()).toEqual(["a 101 begin"]);
  answer("a", 101, "begin");
  answer("a", 101, "collect", {});
  expect(results).toHaveLength(1);
  expect(take()).toEqual(["a 101 collect", "a 102 begin"]);
  answer("a", 102, "begin");
  answer("a", 102, "collect", {});
  expect([results.length, census.running, take()]).toEqual([2, false, ["a 102 collect"]]);
});

test("a request that a census which began anew already covers starts no further one", () => {
  const { census, take, answer } = createCensus({ hosts: ["a"] });
  census.request(0);
  census.request(0);
  census.hostsChanged(0);
  answer("a", 102, "begin");
  answer("a", 102, "collect", {});
  expect([census.running, take()]).toEqual([
    false,
    ["a 101 begin", "a 102 begin", "a 102 collect"],
  ]);
});

test("a process that answers while it is asked leads to no question of an earlier round", () => {
  const asked: string[] = [];
  let changed = false;
  const census: Census = new Census({
    ask: (host, number, phase) => {
      asked.push(`${host} ${number} ${phase}`);
      if (changed) return;
      changed = true;
      census.hostsChanged(0);
    },
    hosts: () => ["a", "b"],
    inFlight: () => [],
    onResult: () => undefined,
    firstNumber: 0,
    patienceMs: 1,
  });
  census.request(0);
  expect(asked).toEqual(["a 1 begin", "a 2 begin", "b 2 begin"]);
});
