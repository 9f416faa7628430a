// The load of a replica: what is in flight, and the expected time to the next answer.

import { expect, test } from "bun:test";
import { Load } from "../../../src/model/replica/load.ts";

/** Requests that are begun one after the other at these times. */
const begin = (load: Load, ...times: number[]) => times.map((now) => load.begin(now));

test("a load counts the requests in flight, and each knows how many there were", () => {
  const load = new Load();
  const [first, second] = begin(load, 0, 10);
  expect([load.inFlight, first?.level, second?.level]).toEqual([2, 1, 2]);
  if (first !== undefined) load.end(first, 20);
  expect([load.inFlight, load.begin(30).level]).toEqual([1, 2]);
});

test("a replica without any request is expected to answer at once, and is not known", () => {
  const load = new Load();
  expect([load.expectedMs(0, 1000), load.isKnown]).toEqual([0, false]);
});

test("a replica that has not answered is as slow as its requests are old on average", () => {
  const load = new Load();
  begin(load, 0, 1000);
  expect(load.expectedMs(0, 3000)).toBe(2500);
  expect(load.isKnown).toBe(false);
});

test("the first answer counts whole, the second half, and later ones at least a sixteenth", () => {
  const load = new Load();
  const answer = (ms: number) => {
    const begun = load.begin(0);
    load.answered(begun, ms);
    load.end(begun, 0);
    return load.expectedMs(0, 0);
  };
  expect([answer(100), answer(200)]).toEqual([100, 150]);
  expect(load.isKnown).toBe(true);
  for (let i = 0; i < 30; i++) answer(150);
  expect(answer(310)).toBe(160);
});

test("more than a replica is used to takes longer in proportion, beyond eight at once", () => {
  const load = new Load();
  const [begun] = begin(load, 0);
  if (begun === undefined) return expect.unreachable();
  load.answered(begun, 900);
  load.end(begun, 0);
  expect([0, 8, 9, 17].map((ahead) => load.expectedMs(ahead, 0))).toEqual([900, 900, 1000, 1800]);
});

test("a replica is used to as many requests as there were when the answered ones were begun", () => {
  const load = new Load();
  const begun = begin(load, ...Array.from({ length: 19 }, () => 0));
  const last = begun.at(-1);
  if (last === undefined) return expect.unreachable();
  load.answered(last, 1000);
  for (const one of begun) load.end(one, 0);
  expect([load.expectedMs(19, 0), load.expectedMs(39, 0)]).toEqual([1000, 2000]);
});

test("a replica is stale before its first request and ten seconds after its last", () => {
  const load = new Load();
  expect(load.isStale(0)).toBe(true);
  const begun = load.begin(0);
  expect(load.isStale(60_000)).toBe(false);
  load.end(begun, 60_000);
  expect([load.isStale(69_999), load.isStale(70_000)]).toEqual([false, true]);
});

test("the first answer of a stale replica counts whole again", () => {
  const load = new Load();
  const slow = load.begin(0);
  load.answered(slow, 20_000);
  load.end(slow, 20_000);
  const again = load.begin(30_000);
  load.answered(again, 1000);
  load.end(again, 31_000);
  expect(load.expectedMs(0, 31_000)).toBe(1000);
});
