// Two processes of a run over real servers: a driver and a host, as both are put together.

import { expect, test } from "bun:test";
import { PeerServer } from "../../src/http/peer-server.ts";
import { PeerSession } from "../../src/http/session.ts";
import { decodeControl, encodeControl } from "../../src/peer/control.ts";
import { encodeBatch } from "../../src/peer/encode.ts";
import type { RoleLoad } from "../../src/peer/member.ts";
import { followList } from "../../src/peer/membership.ts";
import { Peer, type PeerStart } from "../../src/peer/peer.ts";
import { EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import type { Message, Task } from "../../src/task/task.ts";
import { until } from "../parts/until.ts";
import { batch, end, fork, parcel, step, task } from "./one-broker.ts";

const TOKEN = "the-token";
const encoded = (message: Message): Message => ({ ...message, task: encodeTask(message.task) });

async function createPeer(
  self: string,
  roles: readonly RoleLoad[],
  clock = () => 1000,
  more: Partial<PeerStart> = {},
) {
  const bugs: unknown[] = [];
  const server = await PeerServer.listen({
    hostname: "127.0.0.1",
    port: 0,
    token: TOKEN,
    tls: false,
    self,
    onBug: (thrown) => bugs.push(thrown),
  });
  const peer = new Peer({
    server,
    token: TOKEN,
    delivery: "retry",
    maxAttempts: 3,
    capacity: 100,
    store: { enabled: true, memory: 1e6, above: 10 },
    roles,
    isSink: roles.length === 0,
    statefulSandboxOf: (role) => (role === "tools" ? "box" : null),
    clock,
  });
  const received: Message[] = [];
  peer.start({
    receiver: { receive: (messages) => received.push(...messages) },
    routes: { echo: { bytesMax: 10, run: (body) => body } },
    metrics: () => "metrics of the peer",
    ...more,
  });
  return { peer, received, bugs, [Symbol.asyncDispose]: () => peer.stop() };
}

const role = (name: string) => ({ name, busy: 1, queued: 2, slots: 3 });

/** A driver and a host that know each other. */
async function createPair(roles = [role("work"), role("tools")], more: Partial<PeerStart> = {}) {
  const driver = await createPeer("driver", []);
  const host = await createPeer("host", roles, undefined, more);
  const members = [driver, host].map(({ peer }) => ({
    id: peer.self,
    name: peer.self,
    roles: peer === driver.peer ? [] : roles.map(({ name }) => name),
    isSink: peer === driver.peer,
    address: peer.server.url,
    leaving: false,
  }));
  const list = { version: { driver: "driver", version: 1 }, members };
  for (const { peer } of [driver, host]) followList(list, peer.routing, peer.broker);
  const stop = async () => {
    await driver.peer.stop();
    await host.peer.stop();
  };
  return { driver, host, [Symbol.asyncDispose]: stop };
}

test("a row goes from the driver to a host and comes back as an end, and nothing stays in custody", async () => {
  await using pair = await createPair();
  const { driver, host } = pair;
  driver.peer.submit(encoded(step({ role: "work" })));
  await until(() => host.received.length === 1, "the step came");
  const done = host.received[0]?.task as Task;
  expect([done.role, done.rowId]).toEqual(["work", "1"]);
  host.peer.handOn(done, { ...end({ hops: 1 }), task: done });
  await until(() => driver.received.length === 1, "the end came");
  driver.peer.broker.complete(driver.received[0] as Message);
  await until(() => driver.peer.broker.idle && host.peer.broker.idle, "nothing is in custody");
  expect([driver.bugs, host.bugs]).toEqual([[], []]);
});

test("a step that is handed on is pinned to this process when its role keeps state in a sandbox", async () => {
  await using pair = await createPair([role("work"), role("tools")]);
  const { host } = pair;
  host.peer.submit(encoded(step({ role: "tools" })));
  host.peer.submit(encoded(step({ role: "work", rowId: "2" })));
  await until(() => host.received.length === 2, "both steps came");
  const pinsOf = (index: number) => {
    const task = host.received[index]?.task;
    return task instanceof EncodedTask ? task.pins : null;
  };
  const [tools, work] = host.received.map(({ task }) => task as EncodedTask);
  if (tools === undefined || work === undefined) throw new Error("both came");
  expect([tools.pins, work.pins]).toEqual([{}, {}]);
  host.peer.handOn(tools, { kind: "step", task: tools.moved("work", null) });
  host.peer.handOn(work, { kind: "step", task: work.moved("work", null) });
  await until(() => host.received.length === 4, "the next steps came");
  expect([pinsOf(2), pinsOf(3)]).toEqual([{ box: "host" }, {}]);
});

test("a step pinned to a process goes there, and ends as sandbox_lost when that is gone", async () => {
  await using pair = await createPair();
  const { driver, host } = pair;
  const { rowBytes, historyBytes, totals } = encodeTask(task());
  const pinned = (rowId: string, to: string) =>
    new EncodedTask(task({ rowId, role: "tools" }), rowBytes, historyBytes, totals, [], {
      box: to,
    });
  host.peer.submit({ kind: "step", task: pinned("1", "host") });
  await until(() => host.received.length === 1, "the step came");
  host.peer.submit({ kind: "step", task: pinned("2", "gone") });
  await until(() => driver.received.length === 1, "the end came");
  expect(driver.received[0]).toMatchObject({
    kind: "end",
    ending: { error: { code: "sandbox_lost" } },
  });
  // A fork and an end need no sandbox.
  host.peer.submit({ kind: "fork", task: pinned("3", "gone") });
  await until(() => host.received.length === 2, "the fork came");
});

test("a process takes messages for its roles, forks and its own branches, and refuses all others", async () => {
  await using pair = await createPair();
  const { driver, host } = pair;
  const ask = async (to: string, message: Message): Promise<number | null> => {
    const from = to === "host" ? "driver" : "host";
    const url = (to === "host" ? host : driver).peer.server.url;
    const session = new PeerSession({ url, token: TOKEN, self: from, peer: to });
    const body = encodeBatch(batch({ parcels: [parcel(1, message)] }), {
      self: from,
      to,
      above: 9,
      now: 0,
    });
    try {
      await session.request("batch", body, { timeoutMs: 5000 });
      return 200;
    } catch (thrown) {
      return (thrown as { status: number | null }).status;
    } finally {
      session.close();
    }
  };
  const mine = { of: "host", id: 1 };
  expect(await ask("host", step({ role: "work" }))).toBe(200);
  expect(await ask("host", step({ role: "other" }))).toBe(400);
  expect(await ask("host", fork({ rowId: "2" }))).toBe(200);
  expect(await ask("host", end({ rowId: "3" }))).toBe(400);
  expect(await ask("host", end({ rowId: "4", branch: mine }))).toBe(200);
  expect(await ask("host", end({ rowId: "5", branch: { of: "other", id: 1 } }))).toBe(400);
  expect(await ask("driver", end({ rowId: "6" }))).toBe(200);
  expect(await ask("driver", fork({ rowId: "7" }))).toBe(400);
  expect(await ask("driver", step({ rowId: "8", role: "work" }))).toBe(400);
  expect([host.peer.server.refused, driver.peer.server.refused]).toEqual([
    { malformed: 3 },
    { malformed: 2 },
  ]);
});

test("a branch stays in custody until its end was taken by the process that waits for it", async () => {
  await using pair = await createPair();
  const { peer, received } = pair.host;
  const branch = { of: "host", id: 1 };
  peer.submit(encoded(step({ role: "work", branch })));
  await until(() => received.length === 1, "the step came");
  const done = received[0]?.task as Task;
  peer.handOn(done, { ...end({ hops: 1, branch }), task: done });
  await until(() => received.length === 2, "the end came");
  expect(peer.broker.counts).toMatchObject({ held: 1, sent: 0 });
  peer.settle(received[1]?.task as Task);
  expect(peer.broker.idle).toBe(true);
});

test("the answer to a batch tells the load of the host, by role", async () => {
  await using pair = await createPair();
  const { driver, host } = pair;
  expect(host.peer.load).toEqual({
    work: { busy: 1, queued: 2, slots: 3 },
    tools: { busy: 1, queued: 2, slots: 3 },
  });
  expect(driver.peer.load).toEqual({});
  const other = {
    id: "a",
    name: "a",
    roles: ["work"],
    isSink: false,
    address: "http://127.0.0.1:9",
    leaving: false,
  };
  driver.peer.routing.update([...driver.peer.routing.members, other]);
  const choose = (key: string) =>
    driver.peer.routing.choose({ kind: "role", role: "work" }, key, 0, () => false);
  const rows = Array.from({ length: 50 }, (_, n) => `${n}`);
  const rowId = rows.find((row) => choose(`0:${row}`) === "host") ?? "";
  driver.peer.submit(encoded(step({ rowId, role: "work" })));
  await until(() => choose(`0:${rowId}`) === "a", "the load was noted");
});

test("a host answers the two questions of a census", async () => {
  await using pair = await createPair();
  const { driver, host } = pair;
  host.peer.submit(encoded(step({ role: "work", attempt: 2 })));
  const ask = async (number: number, phase: "begin" | "collect") =>
    decodeControl(
      "counted",
      await driver.peer.links.request(
        "host",
        "census",
        encodeControl("census", { number, phase }),
        5000,
      ),
    );
  expect(await ask(7, "collect")).toBeNull();
  expect(await ask(7, "begin")).toBeNull();
  expect(await ask(7, "collect")).toEqual([["0:1", 2]]);
});

test("a host answers the census of the driver alone", async () => {
  await using pair = await createPair(undefined, { isDriver: (id) => id === "another driver" });
  const body = encodeControl("census", { number: 1, phase: "begin" });
  const asked = pair.driver.peer.links.request("host", "census", body, 5000);
  await expect(asked).rejects.toMatchObject({ code: "peer_failed", status: 400 });
});

test("a peer answers its own routes and /metrics beside those of delivery", async () => {
  await using pair = await createPair();
  const { driver } = pair;
  const answer = await driver.peer.links.request("host", "echo", new Uint8Array([5]), 5000);
  expect([...answer]).toEqual([5]);
});

test("a peer that is not started keeps what it is sent, and tells its peers that it is starting", async () => {
  const server = await PeerServer.listen({
    hostname: "127.0.0.1",
    port: 0,
    token: TOKEN,
    tls: false,
    self: "host",
    onBug: () => undefined,
  });
  const peer = new Peer({
    server,
    token: TOKEN,
    delivery: "retry",
    maxAttempts: 3,
    capacity: 100,
    store: { enabled: true, memory: 1e6, above: 10 },
    roles: [role("work")],
    isSink: false,
    statefulSandboxOf: () => null,
    clock: () => 1000,
  });
  const self = {
    id: "host",
    name: "host",
    roles: ["work"],
    isSink: false,
    address: server.url,
    leaving: false,
  };
  followList({ version: { driver: "d", version: 1 }, members: [self] }, peer.routing, peer.broker);
  peer.submit(step({ role: "work" }));
  const received: Message[] = [];
  await new Promise((resolve) => setImmediate(resolve));
  expect(received).toEqual([]);
  peer.start({
    receiver: { receive: (messages) => received.push(...messages) },
    routes: {},
    metrics: () => "",
  });
  await until(() => received.length === 1, "the step came");
  await peer.stop();
});

test("a peer looks again on its own at what could not be sent, and at sessions to peers that are gone", async () => {
  await using alone = await createPeer("driver", []);
  const { peer } = alone;
  peer.submit(encoded(step({ role: "work" })));
  expect(peer.broker.counts.parked).toBe(1);
  await using late = await createPeer("host", [role("work")]);
  const self = {
    id: "driver",
    name: "d",
    roles: [],
    isSink: true,
    address: peer.server.url,
    leaving: false,
  };
  const host = {
    ...self,
    id: "host",
    roles: ["work"],
    isSink: false,
    address: late.peer.server.url,
  };
  followList(
    { version: { driver: "driver", version: 1 }, members: [self, host] },
    late.peer.routing,
    late.peer.broker,
  );
  // The broker is not told: only its tick finds the host.
  peer.routing.update([self, host]);
  await until(() => late.received.length === 1, "the step came");
});

test("a peer that was stopped does not look any more", async () => {
  const looks = { stopped: 0, running: 0 };
  const { peer } = await createPeer("stopped", [], () => ++looks.stopped);
  await using _running = await createPeer("running", [], () => ++looks.running);
  await peer.stop();
  const [stopped, running] = [looks.stopped, looks.running];
  await until(() => looks.running > running + 3, "another peer looked several times");
  expect(looks.stopped).toBe(stopped);
});
