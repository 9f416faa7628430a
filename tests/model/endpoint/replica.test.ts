// One replica: when it goes down, when it is paused, when it is asked whether it is there, and what
// the user hears of it. Times are arguments; `random` is 0, so the first backoff is 125 ms.

import { expect, test } from "bun:test";
import { type ErrorCode, MatrixError } from "../../../src/error.ts";
import { Replica } from "../../../src/model/endpoint/replica.ts";
import { TestEndpoint } from "../endpoint.ts";
import { openaiConfig } from "./config.ts";

function createReplica({ url = "http://127.0.0.1:9/v1", concurrency = 10, random = 0 } = {}) {
  const said: string[] = [];
  const replica = new Replica(
    openaiConfig({ concurrency }),
    { url, ip: null, label: "http://a" },
    {
      random: () => random,
      say: (level, what) => said.push(`${level}: ${what}`),
      notice: () => undefined,
    },
  );
  const fail = (code: ErrorCode, now = 0, retryAfterMs?: number) =>
    replica.failed(
      new MatrixError(code, `it said ${code}`, retryAfterMs === undefined ? {} : { retryAfterMs }),
      now,
      now,
    );
  return { replica, said, fail };
}

test("a new replica is up, has room for its window and changes by no time", () => {
  const { replica } = createReplica({ concurrency: 2 });
  expect([replica.isUp, replica.window, replica.trouble]).toEqual([true, 2, ""]);
  expect(replica.changesAt(0)).toBeNull();
  const room = [0, 1, 2].map((inFlight) => {
    replica.inFlight = inFlight;
    return replica.hasRoom(0);
  });
  expect(room).toEqual([true, true, false]);
});

test("a replica that cannot be reached goes down at once, until its backoff is over", () => {
  const { replica, fail } = createReplica();
  fail("model_unavailable", 1000);
  expect([replica.isUp, replica.isUsable(1000), replica.hasRoom(1000)]).toEqual([
    false,
    false,
    false,
  ]);
  expect(replica.changesAt(1000)).toBe(1125);
  expect(replica.trouble).toBe("it said model_unavailable");
});

for (const code of ["model_lost", "model_failed", "model_timeout"] as const) {
  test(`the third ${code} in a row, without an answer between, takes a replica down`, () => {
    const { replica, fail } = createReplica();
    fail(code);
    fail(code);
    expect(replica.isUp).toBe(true);
    replica.answered();
    fail(code);
    fail(code);
    expect(replica.isUp).toBe(true);
    fail(code);
    expect(replica.isUp).toBe(false);
  });
}

for (const code of ["model_refused_request", "model_bad_answer", "model_overloaded"] as const) {
  test(`${code} says that a replica is there, and starts the count anew`, () => {
    const { replica, fail } = createReplica();
    for (let i = 0; i < 5; i++) fail(code);
    expect(replica.isUp).toBe(true);
    fail("model_failed");
    fail("model_failed");
    fail(code);
    fail("model_failed");
    fail("model_failed");
    expect(replica.isUp).toBe(true);
  });
}

test("overload and time-outs make the window smaller, and other failures do not", () => {
  for (const [code, window] of [
    ["model_overloaded", 7],
    ["model_timeout", 7],
    ["model_failed", 10],
    ["model_lost", 10],
    ["model_refused_request", 10],
  ] as const) {
    const { replica, fail } = createReplica();
    replica.inFlight = 10;
    for (let i = 0; i < 3; i++) fail(code);
    expect(`${code} ${replica.window}`).toBe(`${code} ${window}`);
  }
});

test("an answer makes the window larger", () => {
  const { replica } = createReplica({ concurrency: 1000 });
  replica.inFlight = 128;
  replica.answered();
  expect(replica.window).toBe(129);
});

test("a replica that says when to come back is up but gets nothing until then", () => {
  const { replica, fail } = createReplica();
  fail("model_overloaded", 1000, 5000);
  expect([replica.isUp, replica.isUsable(5999), replica.isUsable(6000)]).toEqual([
    true,
    false,
    true,
  ]);
  expect([replica.changesAt(5999), replica.changesAt(6000)]).toEqual([6000, null]);
});

test("a shorter Retry-After does not end a longer one", () => {
  const { replica, fail } = createReplica();
  fail("model_overloaded", 1000, 5000);
  fail("model_overloaded", 2000, 1000);
  expect([replica.isUsable(5999), replica.isUsable(6000)]).toEqual([false, true]);
});

test("a Retry-After is respected for two minutes at most, with up to a quarter added", () => {
  const { replica, fail } = createReplica({ random: 1 });
  fail("model_overloaded", 0, 120_000);
  expect(replica.changesAt(0)).toBe(150_000);
  const other = createReplica();
  other.fail("model_overloaded", 0, 1e9);
  expect(other.replica.changesAt(0)).toBe(120_000);
});

test("a failure of a replica that is down changes nothing", () => {
  const { replica, fail } = createReplica();
  fail("model_unavailable", 0);
  fail("model_unavailable", 100);
  expect(replica.changesAt(100)).toBe(125);
});

test("an answer brings a replica up again at once", () => {
  const { replica, fail } = createReplica();
  fail("model_unavailable", 0);
  replica.answered();
  expect([replica.isUp, replica.changesAt(0)]).toEqual([true, null]);
  fail("model_unavailable", 0);
  expect(replica.changesAt(0)).toBe(125);
});

test("a replica is probed after its backoff, and is up when it answers", async () => {
  await using endpoint = await TestEndpoint.start();
  const { replica, fail } = createReplica({ url: endpoint.url });
  await replica.probe(() => 0);
  expect(endpoint.probes).toBe(0);
  fail("model_unavailable", 0);
  await replica.probe(() => 124);
  expect([endpoint.probes, replica.isUp]).toEqual([0, false]);
  await replica.probe(() => 125);
  expect([endpoint.probes, replica.isUp, replica.changesAt(125)]).toEqual([1, true, null]);
});

test("a failed probe doubles the backoff, and the fourth time down is reported", async () => {
  await using endpoint = await TestEndpoint.start();
  await endpoint.vanish();
  const { replica, said, fail } = createReplica({ url: endpoint.url });
  fail("model_unavailable", 0);
  const changes: (number | null)[] = [replica.changesAt(0)];
  for (const now of [1000, 2000, 3000, 4000]) {
    await replica.probe(() => now);
    changes.push(replica.changesAt(now));
    if (now === 2000) expect(said).toEqual([]);
  }
  expect(changes).toEqual([125, 1250, 2500, 4000, 6000]);
  expect(said).toEqual([
    "warning: http://a is down, and is asked again from time to time: it said model_unavailable",
  ]);
  replica.answered();
  expect(said.slice(1)).toEqual(["info: http://a answers again"]);
  replica.answered();
  expect(said).toHaveLength(2);
});

test("a replica that was down at most three times is not reported when it answers again", async () => {
  await using endpoint = await TestEndpoint.start();
  await endpoint.vanish();
  const { replica, said, fail } = createReplica({ url: endpoint.url });
  fail("model_unavailable", 0);
  for (const now of [1000, 2000]) await replica.probe(() => now);
  replica.answered();
  expect(said).toEqual([]);
});

test("an answer that arrives during a probe says more than the probe", async () => {
  await using endpoint = await TestEndpoint.start();
  await endpoint.vanish();
  const { replica, fail } = createReplica({ url: endpoint.url });
  fail("model_unavailable", 0);
  const probing = replica.probe(() => 1000);
  replica.answered();
  await probing;
  expect(replica.isUp).toBe(true);
});

test("a server that answers a probe with 500 is not there, and with 404 it is", async () => {
  await using endpoint = await TestEndpoint.start();
  for (const [status, isUp] of [
    [500, false],
    [499, true],
    [404, true],
  ] as const) {
    endpoint.probeStatus = status;
    const { replica, fail } = createReplica({ url: endpoint.url });
    fail("model_unavailable", 0);
    await replica.probe(() => 1000);
    expect(`${status} ${replica.isUp}`).toBe(`${status} ${isUp}`);
  }
});
