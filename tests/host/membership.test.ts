// A host's membership: its beats to a driver over a real server, and how it follows the answers.

import { expect, test } from "bun:test";
import { DriverCalls } from "../../src/host/driver-calls.ts";
import { type DriverNews, Membership, type MembershipOptions } from "../../src/host/membership.ts";
import { PeerServer } from "../../src/http/peer-server.ts";
import type { Control } from "../../src/peer/control.ts";
import { Peer } from "../../src/peer/peer.ts";
import { until } from "../parts/until.ts";
import { answering, createDriver, TOKEN } from "./driver-server.ts";

const SPENT = { requests: 3, prompt_tokens: 20, completion_tokens: 10, cost: 0.5 };
const RUNNING: Control<"heard"> = {
  state: "running",
  joining: "d/1",
  rated: [],
  ended: [],
  list: null,
};
const listOf = (version: number, driver: string, ...ids: readonly string[]) => ({
  version: { driver, version },
  members: ids.map((id) => ({
    ...{ id, name: id, roles: ["work"], isSink: false },
    address: `http://127.0.0.1:9/${id}`,
    leaving: false,
  })),
});

/** A membership at a driver that answers each beat with the next of these, and then the last. */
async function createMembership(
  answers: readonly Partial<Control<"heard">>[],
  more: Partial<MembershipOptions> = {},
) {
  const beats: { readonly beat: Control<"beat">; readonly from: string }[] = [];
  const goodbyes: Control<"leave">[] = [];
  const world = { isAway: false, answers: Promise.resolve() };
  const driver = await createDriver({
    beat: answering("beat", "heard", async (beat, from) => {
      if (world.isAway) throw new Error("away");
      beats.push({ beat, from });
      await world.answers;
      return { ...RUNNING, ...answers[Math.min(beats.length, answers.length) - 1] };
    }),
    leave: answering("leave", "done", (leave) => {
      goodbyes.push(leave);
      return null;
    }),
    logs: answering("logs", "done", () => null),
  });
  const server = await PeerServer.listen({
    ...{ hostname: "127.0.0.1", port: 0, token: TOKEN, tls: false, self: "host-1" },
    onBug: () => undefined,
  });
  const peer = new Peer({
    server,
    token: TOKEN,
    ...{ delivery: "retry", maxAttempts: 3, capacity: 100 },
    store: { enabled: false, memory: 1e6, above: 10 },
    roles: [{ name: "work", busy: 1, queued: 2, slots: 3 }],
    isSink: false,
    statefulSandboxOf: () => null,
    clock: () => performance.now(),
  });
  let repeats = 0;
  const { broker } = peer;
  const repeat = broker.repeat.bind(broker);
  broker.repeat = () => {
    repeats++;
    repeat();
  };
  const rated: (readonly string[])[] = [];
  const ended: string[] = [];
  const news: DriverNews[] = [];
  /** The effects of earlier answers on the host, at each answer. */
  const before: { readonly repeats: number; readonly members: readonly string[] }[] = [];
  const calls = new DriverCalls("host-1", async () => ({ url: driver.url, token: TOKEN }));
  const membership = new Membership({
    run: "this-run",
    host: { id: "host-1", name: "worker-1", roles: ["work"], address: "http://127.0.0.1:1" },
    peer,
    driver: calls,
    spent: () => SPENT,
    patienceMs: 60_000,
    onDriver: (one) => void news.push(one),
    isComplete: async () => false,
    onRated: (models) => {
      rated.push(models);
      before.push({ repeats, members: peer.routing.members.map(({ id }) => id) });
    },
    onEnded: (rowId, trial) => void ended.push(`${rowId}/${trial}`),
    ...more,
  });
  const heard = (count: number) =>
    until(() => rated.length >= count, `${count} answers were heard`);
  const stop = async () => {
    await membership.stop();
    calls.close();
    await peer.stop();
    await driver.stop();
  };
  return {
    membership,
    peer,
    calls,
    beats,
    goodbyes,
    world,
    rated,
    ended,
    news,
    before,
    heard,
    stop,
  };
}

test.concurrent("a beat tells who the host is, how busy it is, what it has spent and which list it knows", async () => {
  const list = listOf(4, "driver", "host-1");
  const { beats, heard, stop } = await createMembership([{ list }]);
  await heard(2);
  await stop();
  const host = { id: "host-1", name: "worker-1", roles: ["work"], address: "http://127.0.0.1:1" };
  const beat = {
    run: "this-run",
    host: { ...host, leaving: false },
    load: { work: { busy: 1, queued: 2, slots: 3 } },
    bytes: 0,
    spent: SPENT,
  };
  expect(beats.slice(0, 2)).toEqual([
    { from: "host-1", beat: { ...beat, known: null } },
    { from: "host-1", beat: { ...beat, known: list.version } },
  ]);
});

test.concurrent("a host follows the driver's list, newer versions of it, and the list of another driver", async () => {
  const { before, heard, stop } = await createMembership([
    { list: listOf(4, "driver", "a") },
    { list: listOf(4, "driver", "same") },
    { list: listOf(3, "driver", "stale") },
    { list: listOf(5, "driver", "a", "b") },
    { list: listOf(1, "next", "c") },
    { list: null },
  ]);
  await heard(7);
  await stop();
  const members = before.map((one) => one.members);
  expect(members.slice(0, 7)).toEqual([[], ["a"], ["a"], ["a"], ["a", "b"], ["c"], ["c"]]);
});

test.concurrent("a host hears which models have a rate, and which tasks have ended", async () => {
  const { rated, ended, heard, stop } = await createMembership([
    { rated: ["m"], ended: [["x", 0]] },
    {
      ended: [
        ["y", 1],
        ["z", 2],
      ],
    },
    {},
  ]);
  await heard(3);
  await stop();
  expect(rated.slice(0, 3)).toEqual([["m"], [], []]);
  expect(ended).toEqual(["x/0", "y/1", "z/2"]);
});

test.concurrent("a host repeats what it has from its peers when the driver gave it a new joining, and only then", async () => {
  const { before, heard, stop } = await createMembership([
    { joining: "d/1" },
    { joining: "d/1" },
    { joining: "d/2" },
  ]);
  await heard(5);
  await stop();
  expect(before.slice(0, 5).map(({ repeats }) => repeats)).toEqual([0, 0, 0, 1, 1]);
});

test.concurrent("a membership ends as over when the driver says so, whatever its list says", async () => {
  const { membership, peer, heard, stop } = await createMembership([
    { state: "forming" },
    { state: "over", list: listOf(1, "driver", "a") },
  ]);
  await heard(1);
  expect(membership.isOver).toBe(false);
  expect(await membership.ended).toBe("over");
  expect([membership.isOver, peer.routing.members]).toEqual([true, []]);
  await stop();
});

test.concurrent("a host tells once that the driver stopped, keeps on, and tells when the next driver answers", async () => {
  const states = ["running", "stopped", "stopped", "forming", "running"] as const;
  const { membership, news, heard, world, stop } = await createMembership(
    states.map((state) => ({ state })),
    { silentMs: 0 },
  );
  await heard(3);
  world.isAway = true;
  expect([news, membership.isOver]).toEqual([["stopped"], false]);
  world.isAway = false;
  await heard(5);
  expect(news).toEqual(["stopped", "back"]);
  await stop();
});

test.concurrent("a host that the driver has removed joins anew, and the run is not over", async () => {
  const { membership, stop } = await createMembership([{}, { state: "rejoin" }]);
  expect(await membership.ended).toBe("rejoin");
  expect(membership.isOver).toBe(false);
  await stop();
});

test.concurrent("a membership ends as gone when the driver is silent for longer than the patience", async () => {
  const { membership, world, heard, rated, stop } = await createMembership([{}], { patienceMs: 1 });
  await heard(1);
  world.isAway = true;
  expect(await membership.ended).toBe("gone");
  expect(membership.isOver).toBe(false);
  // The driver may come back: the host still beats.
  world.isAway = false;
  await heard(rated.length + 1);
  await stop();
});

test.concurrent("a host that leaves says so in its next beats", async () => {
  const { membership, beats, heard, rated, stop } = await createMembership([{}]);
  await heard(1);
  membership.leave();
  await heard(rated.length + 2);
  expect([beats[0], beats.at(-1)].map((one) => one?.beat.host.leaving)).toEqual([false, true]);
  await stop();
});

test.concurrent("a host that stops says goodbye with its last spending, and beats no more", async () => {
  const { membership, beats, goodbyes, heard, stop } = await createMembership([{}]);
  await heard(1);
  await membership.stop();
  const count = beats.length;
  expect(goodbyes).toEqual([{ id: "host-1", why: "left", spent: SPENT }]);
  await stop();
  expect(beats.length).toBe(count);
});

test.concurrent("a host says goodbye when its last beat was answered, so that no beat follows", async () => {
  const parts = await createMembership([{}]);
  const { membership, calls, world, beats, goodbyes, rated, heard, stop } = parts;
  await heard(1);
  const answers = Promise.withResolvers<void>();
  world.answers = answers.promise;
  const before = beats.length;
  await until(() => beats.length > before, "a beat waits for its answer");
  const [stopping, known] = [membership.stop(), rated.length];
  // A goodbye would have overtaken this call, which goes over the same session.
  await calls.call("logs", "logs", { name: "worker-1", lines: [] }, "done", 10_000);
  expect(goodbyes).toEqual([]);
  answers.resolve();
  await stopping;
  expect([goodbyes.length, beats.length]).toEqual([1, before + 1]);
  // A host that leaves no longer follows what it is told.
  expect(rated).toHaveLength(known);
  await stop();
});

test.concurrent("a membership is over when the driver is silent and the files say that the run is complete", async () => {
  let complete = false;
  const setup = { isComplete: async () => complete };
  const { membership, world, heard, stop } = await createMembership([{}], setup);
  await heard(1);
  expect(membership.isOver).toBe(false);
  world.isAway = true;
  complete = true;
  expect(await membership.ended).toBe("over");
  expect(membership.isOver).toBe(true);
  await stop();
});

test.concurrent("a host tells of each silence of its driver once, and when the driver is back", async () => {
  const { news, world, rated, heard, stop } = await createMembership([{}], { silentMs: 30 });
  await heard(1);
  expect(news).toEqual([]);
  for (const rounds of [1, 2]) {
    world.isAway = true;
    await until(() => news.length === 2 * rounds - 1, "the silence is told");
    world.isAway = false;
    await heard(rated.length + 1);
    await until(() => news.length === 2 * rounds, "the return is told");
  }
  await stop();
  expect(news).toEqual(["silent", "back", "silent", "back"]);
});
