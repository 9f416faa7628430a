// One replica: which of its parts hears of what, when it is asked whether it is there, and what the
// user hears of it. Times are those of a virtual clock; `random` is 0.

import { expect, test } from "bun:test";
import { type ErrorCode, MatrixError } from "../../../src/error.ts";
import { Replica } from "../../../src/model/replica/replica.ts";
import { openaiConfig } from "../endpoint/config.ts";
import { VirtualClock } from "./virtual.ts";

function createReplica({ concurrency = 10, random = 0, found = null as number | null } = {}) {
  const said: string[] = [];
  const clock = new VirtualClock();
  const server = { isThere: true, probes: 0 };
  const noted: [string, number | null][] = [];
  const replica = new Replica(
    openaiConfig({ concurrency }),
    { url: "http://a/v1", ip: null, label: "http://a" },
    {
      random: () => random,
      clock,
      findWindow: () => found,
      noteWindow: (...note) => noted.push(note),
      say: (level, what) => said.push(`${level}: ${what}`),
      connect: () => ({
        ask: () => Promise.reject(new Error("not asked")),
        isThere: async () => {
          server.probes++;
          return server.isThere;
        },
      }),
    },
  );
  const begin = (count = 1) =>
    Array.from({ length: count }, () => replica.begin(clock.now())).at(-1) ??
    replica.begin(clock.now());
  /** A request that is begun and fails at once; others may be in flight. */
  const fail = (code: ErrorCode, { retryAfterMs = 0, mayEject = false, afterMs = 0 } = {}) => {
    const begun = begin();
    const now = clock.now();
    const error = new MatrixError(code, `it said ${code}`, { retryAfterMs });
    replica.failed(error, begun, { sentAt: now - afterMs, now, mayEject });
    replica.end(begun, now);
  };
  const answer = (afterMs = 0) => {
    const begun = begin();
    replica.answered(begun, clock.now() - afterMs, clock.now());
    replica.end(begun, clock.now());
  };
  return { replica, said, clock, server, noted, begin, fail, answer };
}

test("a new replica is up, has room for its window and changes by no time", () => {
  const { replica, begin } = createReplica({ concurrency: 2 });
  expect([replica.isUp, replica.isEjected, replica.window, replica.trouble]).toEqual([
    true,
    false,
    2,
    "",
  ]);
  expect(replica.changesAt(0)).toBeNull();
  const room = [0, 1, 2].map((inFlight) => {
    if (inFlight > 0) begin();
    return [replica.inFlight, replica.hasRoom(0)];
  });
  expect(room).toEqual([
    [0, true],
    [1, true],
    [2, false],
  ]);
});

test("a replica begins with the window that an earlier start found, and notes its own", () => {
  const { replica, noted, begin, fail } = createReplica({ concurrency: 100, found: 20 });
  expect(replica.window).toBe(20);
  begin(4);
  for (let i = 0; i < 5; i++) fail("model_overloaded");
  expect(noted.at(-1)).toEqual(["http://a", 4]);
});

for (const [code, window] of [
  ["model_overloaded", 5],
  ["model_timeout", 5],
  ["model_failed", 10],
  ["model_lost", 10],
  ["model_bad_answer", 10],
  ["model_refused_request", 10],
] as const) {
  test(`five times ${code} leave a window of ${window} out of ten`, () => {
    const { replica, begin, fail } = createReplica();
    begin(9);
    for (let i = 0; i < 5; i++) fail(code);
    expect(replica.window).toBe(window);
  });
}

test("a time-out counts as a slow answer, and a refusal does not", () => {
  const { replica, begin, fail } = createReplica();
  begin(2);
  fail("model_overloaded", { afterMs: 7000 });
  expect(replica.asCandidate(0).expectedMs(0)).toBe(0);
  fail("model_timeout", { afterMs: 7000 });
  expect(replica.asCandidate(0).expectedMs(0)).toBe(7000);
});

test("a candidate shows the room of its replica, whether it is known and how slow it is", async () => {
  const { replica, clock, begin, answer } = createReplica({ concurrency: 1 });
  await clock.run(100);
  expect(replica.asCandidate(100)).toMatchObject({
    replica,
    hasRoom: true,
    isKnown: false,
    isStale: true,
  });
  answer(30);
  begin();
  const candidate = replica.asCandidate(100);
  expect(candidate).toMatchObject({ hasRoom: false, isKnown: true, isStale: false });
  expect(candidate.expectedMs(0)).toBe(30);
});

test("a replica that turns its only request away is up but not usable until its Retry-After", () => {
  const { replica, fail } = createReplica();
  fail("model_overloaded", { retryAfterMs: 5000 });
  expect([replica.isUp, replica.isUsable(4999), replica.isUsable(5000)]).toEqual([
    true,
    false,
    true,
  ]);
  expect(replica.changesAt(0)).toBe(5000);
});

test("a Retry-After of one request among many makes no other one wait", () => {
  const { replica, begin, fail } = createReplica();
  begin(5);
  fail("model_overloaded", { retryAfterMs: 60_000 });
  expect([replica.isUsable(0), replica.hasRoom(0), replica.window]).toEqual([true, true, 9]);
});

test("a Retry-After is respected for two minutes at most, with up to a quarter added", () => {
  const { replica, fail } = createReplica({ random: 1 });
  fail("model_overloaded", { retryAfterMs: 1e9 });
  expect(replica.changesAt(0)).toBe(150_000);
});

test("a replica that is down is probed when it is time, once at a time, until it is there", async () => {
  const { replica, clock, server, fail } = createReplica();
  fail("model_unavailable");
  expect([replica.isUp, replica.hasRoom(0), replica.changesAt(0)]).toEqual([false, false, 250]);
  expect(replica.trouble).toBe("it said model_unavailable");
  await clock.run(249);
  await replica.probe();
  expect(server.probes).toBe(0);
  server.isThere = false;
  await clock.run(250);
  await Promise.all([replica.probe(), replica.probe()]);
  expect([server.probes, replica.isUp, replica.changesAt(250)]).toEqual([1, false, 500]);
  server.isThere = true;
  await clock.run(500);
  await replica.probe();
  expect([server.probes, replica.isUp]).toEqual([2, true]);
});

test("a replica that is back gets one request at first, and not all that wait", async () => {
  const { replica, clock, begin, fail } = createReplica({ concurrency: 1000 });
  fail("model_unavailable");
  await clock.run(250);
  await replica.probe();
  expect([replica.window, replica.hasRoom(250)]).toEqual([1, true]);
  begin();
  expect([replica.hasRoom(250), replica.hasRoom(500), replica.window]).toEqual([false, true, 2]);
});

test("the fourth probe that fails is reported, and the next answer", async () => {
  const { replica, clock, server, said, fail, answer } = createReplica();
  server.isThere = false;
  fail("model_unavailable");
  for (const now of [250, 500, 750]) {
    await clock.run(now);
    await replica.probe();
  }
  expect(said).toEqual([]);
  for (const now of [1000, 1250]) {
    await clock.run(now);
    await replica.probe();
  }
  expect(said).toEqual([
    "warning: http://a is down, and is asked again from time to time: it said model_unavailable",
  ]);
  answer();
  expect(said).toHaveLength(1);
  server.isThere = true;
  await clock.run(1500);
  await replica.probe();
  answer();
  answer();
  expect(said.slice(1)).toEqual(["info: http://a answers again"]);
  expect(replica.isUp).toBe(true);
});

test("probes are counted anew after an answer", async () => {
  const { replica, clock, server, said, fail, answer } = createReplica();
  for (let round = 0; round < 2; round++) {
    fail("model_unavailable");
    for (let probe = 0; probe < 4; probe++) {
      server.isThere = probe === 3;
      await clock.run(clock.now() + 250);
      await replica.probe();
    }
    answer();
  }
  expect(said).toEqual([]);
});

test("an ejection is reported once, until the replica answers again", async () => {
  const { replica, clock, said, fail, answer } = createReplica();
  for (let i = 0; i < 8; i++) fail("model_bad_answer", { mayEject: true });
  expect([replica.isUp, replica.isEjected, replica.changesAt(0)]).toEqual([false, true, 1000]);
  await clock.run(1000);
  fail("model_bad_answer", { mayEject: true });
  expect(said).toEqual([
    "warning: http://a fails, and gets few requests until it is well: it said model_bad_answer",
  ]);
  await clock.run(5000);
  answer();
  expect(said.slice(1)).toEqual(["info: http://a answers again"]);
  expect([replica.isEjected, replica.doesWell]).toEqual([false, false]);
});

test("an answer to a request from before the ejection is not reported as one after it", async () => {
  const { replica, clock, said, begin, fail } = createReplica();
  const early = begin();
  await clock.run(10);
  for (let i = 0; i < 8; i++) fail("model_failed", { mayEject: true });
  replica.answered(early, 0, 10);
  expect([replica.isEjected, said.length]).toEqual([true, 1]);
  replica.readmit();
  expect(replica.isUp).toBe(true);
});
