// Models under bad weather, in virtual time: storms of 429, replicas that are slow, broken or gone,
// and runs that begin with thousands of requests. Each test states the rate that the servers allow
// and how much of it is reached.

import { expect, test } from "bun:test";
import { createWorld, type Fault, type World } from "./virtual.ts";

/** Answers after three to six seconds. */
const answerMs = (random: () => number) => 3000 + 3000 * random();
/** Answers after about one second. */
const quickMs = (random: () => number) => 800 + 400 * random();

const full = (retryAfterMs?: number): Fault => ({
  code: "model_overloaded",
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});
/** Nothing is taken from second 30 to second 50. */
const storm = (fault: Fault) => (now: number) => (now >= 30_000 && now < 50_000 ? fault : null);

const rates = ({ servers }: World, fromSeconds: number, toSeconds: number) =>
  servers.map((server) => server.rate(fromSeconds * 1000, toSeconds * 1000));
const inFlight = ({ replicas }: World) => replicas.replicas.map((replica) => replica.inFlight);
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

for (const [name, retryAfterMs] of [
  ["without a Retry-After", undefined],
  ["with a Retry-After of one second", 1000],
] as const) {
  test(`four seconds after a storm of 429 ${name}, as much is in flight as before`, async () => {
    const world = createWorld([{ answerMs, fault: storm(full(retryAfterMs)) }], { tasks: 500 });
    await world.clock.run(30_000);
    expect(inFlight(world)).toEqual([500]);
    await world.clock.run(54_500);
    expect(inFlight(world)).toEqual([500]);
    await world.clock.run(80_000);
    expect(rates(world, 60, 80)[0]).toBeGreaterThan(0.97 * (500 / 4.5));
    expect(world.failed).toEqual([]);
  });
}

test("during a storm, a replica gets one request at a time, two to four in a second", async () => {
  const world = createWorld([{ answerMs, fault: storm(full()) }], { tasks: 200 });
  await world.clock.run(50_000);
  // Those that were taken before the storm are answered in its first six seconds.
  const asked = world.servers[0]?.askedAt.filter((at) => at >= 37_000) ?? [];
  expect(asked.length).toBeGreaterThanOrEqual(2 * 13 - 1);
  expect(asked.length).toBeLessThanOrEqual(4 * 13 + 1);
  for (const [index, at] of asked.slice(1).entries())
    expect(at - (asked[index] as number)).toBeGreaterThanOrEqual(250);
});

test("a server of fixed size is full again after a storm, and turns few requests away", async () => {
  const world = createWorld([{ capacity: 300, answerMs, fault: storm(full()) }], { tasks: 1000 });
  await world.clock.run(54_000);
  expect(inFlight(world)[0]).toBeGreaterThanOrEqual(299);
  const [server] = world.servers;
  const [asked = 0, refused = 0] = [server?.askedAt.length, server?.refused];
  await world.clock.run(114_000);
  expect(rates(world, 54, 114)[0]).toBeGreaterThan(0.97 * (300 / 4.5));
  const [more, moreRefused] = [
    (server?.askedAt.length ?? 0) - asked,
    (server?.refused ?? 0) - refused,
  ];
  expect(moreRefused / more).toBeLessThan(0.06);
});

for (const [share, retryAfterMs, tasks] of [
  [0.02, 1000, 300],
  [0.02, 1000, 20],
  [0.15, 1000, 300],
] as const) {
  test(`${share * 100} % of 429 with a Retry-After delay these requests of ${tasks}, and no others`, async () => {
    const fault = (_: number, random: () => number) =>
      random() < share ? full(retryAfterMs) : null;
    const world = createWorld([{ answerMs, fault }], { tasks });
    await world.clock.run(120_000);
    // A Retry-After is stretched by an eighth on average.
    const waitMs = (share / (1 - share)) * retryAfterMs * 1.125;
    expect(rates(world, 20, 120)[0]).toBeGreaterThan((0.97 * tasks * 1000) / (4500 + waitMs));
  });
}

test("a server that becomes smaller and larger is followed", async () => {
  const server = { capacity: 1000, answerMs };
  const world = createWorld([server], { tasks: 1500 });
  const windowAt = async (seconds: number) => {
    await world.clock.run(seconds * 1000);
    return inFlight(world)[0] ?? 0;
  };
  expect(await windowAt(20)).toBeGreaterThanOrEqual(999);
  server.capacity = 300;
  expect(await windowAt(40)).toBe(300);
  server.capacity = 1000;
  expect(await windowAt(70)).toBeGreaterThanOrEqual(999);
});

for (const [tasks, turns] of [
  [200, 1],
  [1000, 4],
] as const) {
  test(`a replica 20 times slower costs ${tasks} tasks nothing of what two others allow`, async () => {
    const slowMs = (random: () => number) => 20 * quickMs(random);
    const [well, slow] = [
      { capacity: 100, answerMs: quickMs },
      { capacity: 100, answerMs: slowMs },
    ];
    const world = createWorld([well, well, slow], { tasks, turns });
    await world.clock.run(45_000);
    expect(sum(rates(world, 25, 45))).toBeGreaterThan(0.97 * Math.min(200, tasks));
    expect(inFlight(world)[2]).toBeLessThanOrEqual(2);
  });
}

test("a replica with a long queue of its own gets what it can answer in time", async () => {
  const [well, narrow] = [
    { slots: 100, answerMs: quickMs },
    { slots: 5, answerMs: quickMs },
  ];
  const world = createWorld([well, well, narrow], { tasks: 200, turns: 4 });
  await world.clock.run(80_000);
  expect(sum(rates(world, 60, 80))).toBeGreaterThan(0.9 * 200);
});

test("a replica that was slow has its share again within half a minute", async () => {
  let isSlow = true;
  const changing = { capacity: 100, answerMs: () => (isSlow ? 20_000 : 1000) };
  const well = { capacity: 100, answerMs: quickMs };
  const world = createWorld([well, well, changing], { tasks: 400 });
  await world.clock.run(40_000);
  isSlow = false;
  await world.clock.run(80_000);
  expect(sum(rates(world, 70, 80))).toBeGreaterThan(0.97 * 300);
});

test("tasks stay at their replica when all are alike", async () => {
  const well = { answerMs: quickMs };
  const world = createWorld([well, well, well], { tasks: 30, turns: 10 });
  await world.clock.run(60_000);
  const moves = world.servers.map(({ rows }) => rows.size);
  const rows = new Set(world.servers.flatMap(({ rows: asked }) => [...asked]));
  expect(sum(moves)).toBe(rows.size);
});

for (const code of ["model_bad_answer", "model_failed", "model_lost"] as const) {
  test(`a replica whose requests end with ${code} is left out, and no task fails`, async () => {
    const broken = { answerMs: quickMs, fault: (): Fault => ({ code, afterMs: 200 }) };
    const well = { capacity: 100, answerMs: quickMs };
    const world = createWorld([well, well, broken], { tasks: 300 });
    await world.clock.run(30_000);
    expect(sum(rates(world, 10, 30))).toBeGreaterThan(0.97 * 200);
    expect(world.failed).toEqual([]);
    // At first one request in three goes there; after that one for each ejection.
    const asked = world.servers[2]?.askedAt ?? [];
    expect(asked.filter((at) => at >= 10_000).length).toBeLessThan(5);
    expect(world.said).toEqual([expect.stringContaining("http://2 fails")]);
  });
}

test("a replica that fails one time in three still works at what it can", async () => {
  const well = { capacity: 100, answerMs: quickMs };
  const fault = (_: number, random: () => number): Fault | null =>
    random() < 0.3 ? { code: "model_failed", afterMs: 200 } : null;
  const world = createWorld([well, well, { ...well, fault }], { tasks: 300 });
  await world.clock.run(30_000);
  expect(sum(rates(world, 10, 30))).toBeGreaterThan(0.9 * 300);
  expect(world.said).toEqual([]);
});

test("a model whose answers are bad at every replica loses none of them", async () => {
  const fault = (_: number, random: () => number): Fault | null =>
    random() < 0.3 ? { code: "model_bad_answer", afterMs: 500 } : null;
  const world = createWorld(
    [
      { answerMs: quickMs, fault },
      { answerMs: quickMs, fault },
    ],
    {
      tasks: 100,
    },
  );
  await world.clock.run(30_000);
  for (const rate of rates(world, 10, 30)) expect(rate).toBeGreaterThan(20);
});

for (const tasks of [10, 1000]) {
  test(`the first of ${tasks} requests goes half a second after an outage, the rest not at once`, async () => {
    const backAt = 90_123;
    const fault = (now: number): Fault | null =>
      now >= 30_000 && now < backAt ? { code: "model_unavailable" } : null;
    const world = createWorld([{ answerMs, fault }], { tasks });
    await world.clock.run(110_000);
    const [server] = world.servers;
    const after = server?.askedAt.filter((at) => at >= backAt) ?? [];
    expect((after[0] ?? Number.NaN) - backAt).toBeLessThan(600);
    expect(after.filter((at) => at < (after[0] ?? 0) + 250)).toHaveLength(1);
    const during = server?.askedAt.filter((at) => at >= 30_000 && at < backAt);
    expect(during?.length).toBeLessThan(5);
    expect(after.filter((at) => at < backAt + 5000).length).toBeGreaterThanOrEqual(tasks);
    // One probe at a time, two to four in a second.
    const probes = server?.probedAt ?? [];
    expect(probes.length).toBeGreaterThanOrEqual(2 * 59);
    expect(probes.length).toBeLessThanOrEqual(4 * 61);
    expect(world.failed).toEqual([]);
  });
}

for (const seconds of [5, 60]) {
  for (const tasks of [200, 1000, 5000]) {
    test(`${tasks} requests are in flight at once, with answers of ${seconds} s`, async () => {
      const world = createWorld([{ answerMs: () => seconds * 1000 }], { tasks, concurrency: 5000 });
      await world.clock.run(1);
      expect(inFlight(world)).toEqual([tasks]);
      await world.clock.run(seconds * 1000 + 1);
      expect(world.servers[0]?.answeredAt).toHaveLength(tasks);
    });
  }
}

test("a run that begins with too much finds what the server takes before its first answer", async () => {
  const world = createWorld([{ capacity: 400, answerMs: () => 60_000 }], { tasks: 5000 });
  await world.clock.run(100);
  expect(inFlight(world)).toEqual([400]);
  expect(world.servers[0]?.refused).toBe(4600);
});

test("a run that begins with what an earlier start found grows before its first answer", async () => {
  const noted: (number | null)[] = [];
  const kept = { found: 400, noted };
  const world = createWorld([{ capacity: 400, answerMs: () => 60_000 }], { tasks: 5000, ...kept });
  await world.clock.run(100);
  expect([inFlight(world), world.servers[0]?.refused]).toEqual([[400], 0]);
  const larger = createWorld([{ capacity: 3000, answerMs: () => 60_000 }], {
    tasks: 5000,
    ...kept,
  });
  await larger.clock.run(2000);
  expect(inFlight(larger)[0]).toBeGreaterThanOrEqual(3000);
  expect(noted.at(-1)).toBe(3000);
});
