// Rates in virtual time: whatever is asked for and whenever, no minute has more than its share.

import { expect, test } from "bun:test";
import { Pace } from "../../src/model/rate.ts";
import { createRandom } from "../../src/task/seed.ts";

const MINUTE_MS = 60_000;
const SEEDS = 200;

interface Sent {
  readonly at: number;
  readonly tokens: number;
}

/**
 * Ten minutes of requests that come as a seed has it: in floods, one by one, and not at all for a
 * while.
 */
function play(
  seed: number,
  rpm: number | undefined,
  tpm: number | undefined,
  tokensMax: number,
): Sent[] {
  const random = createRandom(seed);
  const pace = new Pace({ rpm, tpm });
  const sent: Sent[] = [];
  let now = 1e6 * random();
  const end = now + 10 * MINUTE_MS;
  while (now < end) {
    const flood = 1 + Math.floor(random() * 200);
    for (let count = 0; count < flood && now < end; count++) {
      const at = pace.next(now);
      const tokens = Math.ceil(random() * tokensMax);
      pace.take(at, tokens);
      sent.push({ at, tokens });
      // The next look comes before its time, in time or late.
      if (random() < 0.5) now = at + random() * 500;
    }
    now += random() < 0.3 ? random() * 3 * MINUTE_MS : random() * 2000;
  }
  return sent;
}

/** The most of anything in a window that includes its beginning, but not its end. */
function mostIn(sent: readonly Sent[], windowMs: number, of: (one: Sent) => number): number {
  let [first, sum, most] = [0, 0, 0];
  for (const one of sent) {
    sum += of(one);
    // Sums of intervals are exact to the nanosecond, not beyond.
    for (
      let old = sent[first];
      old !== undefined && old.at <= one.at - windowMs + 1e-6;
      old = sent[++first]
    )
      sum -= of(old);
    most = Math.max(most, sum);
  }
  return most;
}

test("no minute has more requests than rpm, the first one included", () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const rpm = [1, 7, 60, 600, 3000][seed % 5] as number;
    const most = mostIn(play(seed, rpm, undefined, 1), MINUTE_MS, () => 1);
    expect(`seed ${seed}: ${most <= rpm ? "kept" : `${most} of ${rpm}`}`).toBe(
      `seed ${seed}: kept`,
    );
  }
});

test("no minute has more tokens than tpm and the one request that it ends with", () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const most = mostIn(play(seed, undefined, 100_000, 2000), MINUTE_MS, ({ tokens }) => tokens);
    expect(`seed ${seed}: ${most <= 102_000 ? "kept" : most}`).toBe(`seed ${seed}: kept`);
  }
});

test("a pace is used up while requests wait", () => {
  const pace = new Pace({ rpm: 600 });
  let at = 0;
  for (let count = 0; count < 601; count++) {
    at = pace.next(at);
    pace.take(at, 0);
  }
  expect(at).toBeCloseTo(MINUTE_MS, 6);
});

test("a request larger than a whole minute passes, and is paid off afterwards", () => {
  const pace = new Pace({ tpm: 1000 });
  expect(pace.next(0)).toBe(0);
  pace.take(0, 3000);
  expect(pace.next(0)).toBe(3 * MINUTE_MS);
});

test("settled tokens are taken back or waited for, and nothing is saved up", () => {
  const pace = new Pace({ tpm: 60_000 });
  pace.take(0, 1000);
  pace.settle(-900);
  expect(pace.next(0)).toBe(100);
  pace.settle(400);
  expect(pace.next(0)).toBe(500);
  pace.settle(-100_000);
  pace.take(1000, 60);
  expect(pace.next(1000)).toBe(1000 + 60);
});

test("a pace without limits never waits, and the first request of any pace goes at once", () => {
  const free = new Pace({});
  free.take(5, 1e9);
  expect([free.next(5), free.heldBy(5)]).toEqual([5, null]);
  const limited = new Pace({ rpm: 1, tpm: 1 });
  expect([limited.next(7), limited.heldBy(7)]).toEqual([7, null]);
});

test("the limit that is paid off last is the one that requests wait for", () => {
  const pace = new Pace({ rpm: 60, tpm: 60_000 });
  pace.take(0, 500);
  expect([pace.next(0), pace.heldBy(0), pace.heldBy(999), pace.heldBy(1000)]).toEqual([
    1000,
    "rpm",
    "rpm",
    null,
  ]);
  pace.take(1000, 2000);
  expect([pace.next(1000), pace.heldBy(1000), pace.heldBy(3000)]).toEqual([3000, "tpm", null]);
  const even = new Pace({ rpm: 60, tpm: 60_000 });
  even.take(0, 1000);
  expect(even.heldBy(0)).toBe("rpm");
});
