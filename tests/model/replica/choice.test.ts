// The choice among replicas: the first in the order of the task, unless another is much sooner.

import { expect, test } from "bun:test";
import { type Candidate, choose, isWorth, limitMs } from "../../../src/model/replica/choice.ts";

interface Named extends Candidate {
  readonly name: string;
}

/** A replica whose answer takes `ms`, and one `ms` more for each request that waits. */
const candidate = (name: string, ms: number, more: Partial<Candidate> = {}): Named => ({
  name,
  hasRoom: true,
  isKnown: true,
  isStale: false,
  expectedMs: (ahead) => ms * (1 + ahead),
  ...more,
});
const chosen = (candidates: readonly Named[], waiting = 0) =>
  choose(candidates, waiting)?.name ?? null;

test("the first in the order of the task is chosen when all are alike", () => {
  expect(chosen([candidate("a", 1000), candidate("b", 1000)])).toBe("a");
});

test("a replica may be twice as slow as the best and 100 ms more, and not slower", () => {
  expect(chosen([candidate("a", 2100), candidate("b", 1000)])).toBe("a");
  expect(chosen([candidate("a", 2101), candidate("b", 1000)])).toBe("b");
  expect(limitMs([candidate("a", 5000), candidate("b", 1000)], 0)).toBe(2100);
});

test("a replica without room is passed over", () => {
  expect(chosen([candidate("a", 1000, { hasRoom: false }), candidate("b", 1500)])).toBe("b");
  expect(chosen([candidate("a", 1000, { hasRoom: false })])).toBeNull();
  expect(chosen([])).toBeNull();
});

test("a request waits for a full replica that is sooner in spite of the others that wait", () => {
  const replicas = [candidate("slow", 20_000), candidate("full", 1000, { hasRoom: false })];
  expect(chosen(replicas, 0)).toBeNull();
  expect(chosen(replicas, 8)).toBeNull();
  expect(chosen(replicas, 9)).toBe("slow");
});

test("the requests that wait are shared by the replicas that are full", () => {
  const full = { hasRoom: false };
  const two = [candidate("a", 1000, full), candidate("b", 1000, full), candidate("slow", 9000)];
  expect(limitMs(two, 6)).toBe(2 * 4000 + 100);
});

test("a replica that never answered is no measure for the others", () => {
  const fresh = candidate("fresh", 0, { isKnown: false });
  expect(chosen([candidate("a", 1000), fresh])).toBe("a");
  expect(chosen([fresh, candidate("a", 1000)])).toBe("fresh");
  expect(chosen([candidate("old", 2500, { isKnown: false }), candidate("a", 1000)])).toBe("a");
  expect(limitMs([fresh], 0)).toBe(Number.POSITIVE_INFINITY);
});

test("a stale replica is asked again, however slow it was", () => {
  const stale = candidate("stale", 20_000, { isStale: true });
  expect(chosen([stale, candidate("a", 1000)])).toBe("stale");
  expect([isWorth(stale, 0), isWorth(candidate("a", 5), 5), isWorth(candidate("a", 6), 5)]).toEqual(
    [true, true, false],
  );
});
