// The health of a replica, step by step. `random` is 0: a probe comes after 250 ms, and the first
// ejection lasts one second.

import { expect, test } from "bun:test";
import { type Failing, type Failure, Health } from "../../../src/model/replica/health.ts";

function create(random = 0) {
  const health = new Health(() => random);
  const fail = (failure: Failure, times = 1, how: Partial<Failing> = {}) => {
    const now = how.now ?? 0;
    for (let i = 0; i < times; i++)
      health.failed(failure, { sentAt: now, now, inFlight: 1, mayEject: true, ...how });
  };
  const answer = (times = 1, sentAt = 0) => {
    for (let i = 0; i < times; i++) health.answered(sentAt);
  };
  return { health, fail, answer };
}

test("a new replica is up and admits requests, and is not known to do well", () => {
  const { health } = create();
  expect([health.is, health.admits(0), health.doesWell, health.changesAt]).toEqual([
    "up",
    true,
    false,
    null,
  ]);
});

test("one answer is enough to do well, and one failure among the last ten too many", () => {
  const { health, fail, answer } = create();
  answer();
  expect(health.doesWell).toBe(true);
  fail("broken");
  expect(health.doesWell).toBe(false);
  answer(2);
  expect(health.doesWell).toBe(false);
  answer();
  expect(health.doesWell).toBe(true);
});

for (const failure of ["broken", "unusable"] as const) {
  test(`the eighth ${failure} request in a row ejects a replica when others do well`, () => {
    const { health, fail } = create();
    fail(failure, 7);
    expect(health.is).toBe("up");
    fail(failure);
    expect([health.is, health.admits(999), health.admits(1000), health.changesAt]).toEqual([
      "ejected",
      false,
      true,
      1000,
    ]);
  });
}

test("a replica that fails like all others goes down when it breaks, and else stays up", () => {
  const [broken, unusable] = [create(), create()];
  broken.fail("broken", 8, { mayEject: false });
  expect(broken.health.is).toBe("down");
  unusable.fail("unusable", 100, { mayEject: false });
  expect(unusable.health.is).toBe("up");
});

test("failures that are fewer than what is in flight say nothing yet", () => {
  const { health, fail } = create();
  fail("broken", 9, { inFlight: 10 });
  expect(health.is).toBe("up");
  fail("broken", 1, { inFlight: 10 });
  expect(health.is).toBe("ejected");
});

test("a replica with as many answers as failures is not ejected", () => {
  const { health, fail, answer } = create();
  for (let i = 0; i < 100; i++) {
    fail("broken", 2);
    answer(2);
  }
  expect(health.is).toBe("up");
});

test("while a request tries an ejected replica, no other one does", () => {
  const { health, fail } = create();
  fail("broken", 8);
  health.admitted(500);
  expect(health.changesAt).toBe(1000);
  health.admitted(1000);
  expect([health.admits(1999), health.admits(2000)]).toEqual([false, true]);
});

test("an ejection lasts twice as long as the last one, up to a minute", () => {
  const { health, fail } = create();
  fail("broken", 8);
  const lasts: number[] = [];
  for (let i = 0; i < 8; i++) {
    const now = (health.changesAt ?? 0) + 1;
    fail("unusable", 1, { now });
    lasts.push((health.changesAt ?? 0) - now);
  }
  expect(lasts).toEqual([2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  const { health: other, fail: failOther } = create(1);
  failOther("broken", 8);
  expect(other.changesAt).toBe(1250);
});

test("what was sent before an ejection changes nothing", () => {
  const { health, fail, answer } = create();
  fail("broken", 8, { now: 100 });
  fail("broken", 1, { now: 200, sentAt: 99 });
  answer(1, 99);
  expect([health.is, health.changesAt]).toEqual(["ejected", 1100]);
  answer(1, 100);
  expect(health.is).toBe("up");
});

test("an answer to a request that tried it brings a replica back, and four failures end that", () => {
  const { health, fail, answer } = create();
  fail("broken", 8, { now: 100 });
  answer(1, 1100);
  expect([health.is, health.doesWell]).toEqual(["up", false]);
  fail("broken", 3, { now: 1200 });
  expect(health.is).toBe("up");
  fail("broken", 1, { now: 1200 });
  expect([health.is, health.changesAt]).toEqual(["ejected", 3200]);
});

test("the next ejection is a short one again after a share of answers of three quarters", () => {
  const { health, fail, answer } = create();
  fail("broken", 8);
  answer(5, 1000);
  fail("broken", 6, { now: 2000 });
  expect(health.changesAt).toBe(4000);
  answer(6, 4000);
  fail("broken", 6, { now: 5000 });
  expect(health.changesAt).toBe(6000);
});

test("a replica that cannot be reached goes down at once, also from an ejection", () => {
  const { health, fail } = create();
  fail("unreachable", 1, { now: 100 });
  expect([health.is, health.admits(1e9), health.changesAt]).toEqual(["down", false, 350]);
  const other = create(1);
  other.fail("broken", 8, { now: 100 });
  other.fail("unreachable", 1, { now: 2000 });
  expect([other.health.is, other.health.changesAt]).toEqual(["down", 2500]);
});

test("failures of a replica that is down change nothing", () => {
  const { health, fail } = create();
  fail("unreachable", 1, { now: 100 });
  fail("unreachable", 1, { now: 200 });
  expect(health.changesAt).toBe(350);
});

test("a replica that is down is probed every 250 ms until it is there", () => {
  const { health, fail } = create();
  expect(health.isProbeDue(1e9)).toBe(false);
  fail("unreachable");
  expect([health.isProbeDue(249), health.isProbeDue(250)]).toEqual([false, true]);
  health.probed(false, 300);
  expect([health.is, health.changesAt]).toEqual(["down", 550]);
  health.probed(true, 550);
  expect([health.is, health.doesWell]).toEqual(["up", false]);
});

test("a replica that shuts down and still answers what it has stays down", () => {
  const { health, fail, answer } = create();
  fail("unreachable");
  answer();
  expect([health.is, health.changesAt]).toEqual(["down", 250]);
});

test("a replica that is back from being down has a new start", () => {
  const { health, fail } = create();
  fail("broken", 8, { mayEject: false });
  health.probed(true, 300);
  fail("broken", 7, { mayEject: false, now: 400 });
  expect(health.is).toBe("up");
  fail("broken", 1, { mayEject: false, now: 400 });
  expect(health.is).toBe("down");
});

test("a replica whose ejection is ended is up, and four failures eject it again", () => {
  const { health, fail } = create();
  health.readmit();
  expect(health.is).toBe("up");
  fail("broken", 8);
  health.readmit();
  fail("broken", 3, { now: 10 });
  expect(health.is).toBe("up");
  fail("broken", 1, { now: 10 });
  expect(health.is).toBe("ejected");
});
