// The driver's fabric over a real server: how hosts meet there, and what it does with ends.

import { expect, test } from "bun:test";
import { PeerFabric, PeerTransport } from "../../src/driver/peer-fabric.ts";
import { Rates } from "../../src/driver/rates.ts";
import { PeerServer } from "../../src/http/peer-server.ts";
import { PeerSession } from "../../src/http/session.ts";
import { type Control, decodeControl, encodeControl } from "../../src/peer/control.ts";
import type { HostId } from "../../src/peer/member.ts";
import { keyOf } from "../../src/peer/parcel.ts";
import { Peer, type PeerOptions } from "../../src/peer/peer.ts";
import { EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import { NOTHING_SPENT } from "../../src/task/spent.ts";
import type { EndMessage, Message } from "../../src/task/task.ts";
import { keptLog } from "../parts/kept-log.ts";
import { until } from "../parts/until.ts";
import { end, step } from "../peer/one-broker.ts";

const TOKEN = "the-token";
const LOAD = { busy: 1, queued: 2, slots: 3 };

async function listen(self: string, more: Pick<PeerOptions, "roles" | "isSink">): Promise<Peer> {
  const server = await PeerServer.listen({
    ...{ hostname: "127.0.0.1", port: 0, token: TOKEN, tls: false, self },
    onBug: (thrown) => {
      throw thrown;
    },
  });
  return new Peer({
    server,
    token: TOKEN,
    ...{ delivery: "retry", maxAttempts: 3, capacity: 100 },
    store: { enabled: true, memory: 1e6, above: 10 },
    statefulSandboxOf: () => null,
    clock: () => performance.now(),
    ...more,
  });
}

interface Setup {
  readonly roles?: readonly string[];
  readonly keepers?: readonly string[];
  readonly expected?: readonly HostId[];
  readonly delivery?: "retry" | "at-most-once";
}

/** A fabric that has begun, on a clock that the test moves, with the tasks that the test says. */
async function createFabric({
  roles = ["work"],
  keepers = [],
  expected = [],
  delivery = "retry",
}: Setup = {}) {
  const peer = await listen("driver", { roles: [], isSink: true });
  const { log, lines } = keptLog();
  const clock = { now: 1000, reads: 0 };
  const tasks = { inFlight: new Set<string>(), adopted: [] as string[], ends: [] as Message[] };
  const hosts: (readonly HostId[])[] = [];
  let stopsOfRates = 0;
  const rates = new Rates(new Map());
  rates.stop = () => void stopsOfRates++;
  const fabric = new PeerFabric({
    peer,
    url: peer.server.url,
    directory: "/runs/mine",
    run: "this-run",
    roles,
    keepers: new Set(keepers),
    expected: new Set(expected),
    delivery,
    tasks: {
      get inFlight() {
        return tasks.inFlight.size;
      },
      keys: () => tasks.inFlight,
      adopt: (key, attempt) => tasks.adopted.push(`${key} ${attempt}`) > 0,
      orphan: (key) => tasks.inFlight.delete(key),
      receive: (messages) => void tasks.ends.push(...messages),
    },
    desk: {
      welcome: () => ({ refused: "no" }),
      spent: () => undefined,
      logs: () => undefined,
      recorded: async () => ({ redraws: 0, record: null }),
    },
    onHosts: (ids) => void hosts.push(ids),
    rates,
    metrics: async () => "the metrics",
    log,
    clock: () => {
      clock.reads++;
      return clock.now;
    },
  });
  /** Resolves when the fabric has looked around with the present time of the clock. */
  const ticked = async () => {
    const before = clock.reads;
    // It reads the clock twice, in one turn of the event loop.
    await until(() => clock.reads >= before + 2, "the fabric has looked around");
  };
  let isReady = false;
  void fabric.ready.then(() => {
    isReady = true;
  });
  fabric.begin();
  const session = (self: string) =>
    new PeerSession({ url: peer.server.url, token: TOKEN, self, peer: "" });
  return {
    ...{ fabric, peer, lines, clock, tasks, hosts, session, ticked },
    transport: new PeerTransport(peer),
    isReady: () => isReady,
    stopsOfRates: () => stopsOfRates,
    stop: async () => {
      const stopping = fabric.stop(() => false);
      clock.now += 3000;
      await stopping;
    },
  };
}

type Stage = Awaited<ReturnType<typeof createFabric>>;

/** A host that beats when a test says so. */
async function createHost(stage: Stage, id: HostId, roles: readonly string[] = ["work"]) {
  const peer = await listen(id, { roles: roles.map((name) => ({ name, ...LOAD })), isSink: false });
  const received: Message[] = [];
  const receiver = { receive: (messages: readonly Message[]) => void received.push(...messages) };
  peer.start({ receiver, routes: {}, metrics: () => "" });
  const session = stage.session(id);
  const ask = (route: string, body: Uint8Array) =>
    session.request(route, body, { timeoutMs: 10_000 });
  const beat = async (more: Partial<Control<"beat">> = {}) => {
    const address = peer.server.url;
    const beat: Control<"beat"> = {
      run: "this-run",
      host: { id, name: `${id}-name`, roles: [...roles], address, leaving: false },
      load: peer.load as Control<"beat">["load"],
      known: null,
      bytes: 5,
      spent: NOTHING_SPENT,
      ...more,
    };
    const heard = decodeControl("heard", await ask("beat", encodeControl("beat", beat)));
    if (heard.list !== null) peer.routing.update(heard.list.members);
    return heard;
  };
  const leave = () =>
    ask("leave", encodeControl("leave", { id, why: "left", spent: NOTHING_SPENT }));
  const stop = async () => {
    session.close();
    await peer.stop();
  };
  return { peer, received, beat, leave, stop };
}

const encoded = (message: Message): Message => ({ ...message, task: encodeTask(message.task) });
const key = (rowId: string) => keyOf({ rowId, trial: 0 });
const formed = (stage: Stage) => until(() => stage.hosts.length > 0, "the fabric has formed");
const wrote = (stage: Stage, text: string) =>
  until(() => stage.lines.some((line) => line.includes(text)), `the log says "${text}"`);

/** Lets this much time pass, in steps in which hosts that beat are not given up. */
async function pass(stage: Stage, ms: number, ...hosts: readonly { beat(): Promise<unknown> }[]) {
  for (let left = ms; left > 0; left -= 5000) {
    stage.clock.now += Math.min(left, 5000);
    for (const host of hosts) await host.beat();
  }
}

test.concurrent("a fabric is ready when every role has a host, and tells of each host that joins and leaves", async () => {
  const stage = await createFabric({ roles: ["work", "judge"] });
  const worker = await createHost(stage, "w");
  const judge = await createHost(stage, "j", ["judge", "work"]);
  // Hosts of an earlier driver may come until then.
  expect(stage.fabric.canFinish).toBe(true);
  await formed(stage);
  expect(stage.fabric.canFinish).toBe(false);
  expect(stage.fabric.roles).toEqual([
    { name: "work", busy: 0, queued: 0, slots: 0 },
    { name: "judge", busy: 0, queued: 0, slots: 0 },
  ]);
  expect((await worker.beat()).state).toBe("running");
  await pass(stage, 10_001, worker);
  await wrote(stage, "waiting for a host");
  expect(stage.isReady()).toBe(false);
  await judge.beat();
  await until(stage.isReady, "the fabric is ready");
  expect(stage.fabric.roles).toEqual([
    { name: "work", busy: 2, queued: 4, slots: 6 },
    { name: "judge", busy: 1, queued: 2, slots: 3 },
  ]);
  await worker.leave();
  expect(stage.fabric.canFinish).toBe(true);
  stage.fabric.died("j");
  expect(stage.fabric.canFinish).toBe(false);
  expect(stage.hosts).toEqual([[], ["w"], ["w", "j"], ["j"], []]);
  expect(stage.lines).toEqual([
    `info w-name joined {"roles":"work","address":"${worker.peer.server.url}"}`,
    "warning waiting for a host of judge (matrix agent --role judge --join /runs/mine)",
    `info j-name joined {"roles":"judge,work","address":"${judge.peer.server.url}"}`,
    "info w-name left",
    "warning j-name is gone: other hosts take over its tasks",
  ]);
  await Promise.all([stage.stop(), worker.stop(), judge.stop()]);
});

test.concurrent("the log names the roles without a host every 10 seconds, and a host ends that", async () => {
  const stage = await createFabric({ roles: ["work", "judge"] });
  await formed(stage);
  stage.clock.now += 10_000;
  await stage.ticked();
  expect(stage.lines).toEqual([]);
  stage.clock.now += 1;
  await stage.ticked();
  stage.clock.now += 10_000;
  await stage.ticked();
  expect(stage.lines).toHaveLength(1);
  stage.clock.now += 1;
  await stage.ticked();
  const command = "matrix agent --role work,judge --join /runs/mine";
  const line = `warning waiting for a host of work, judge (${command})`;
  expect(stage.lines).toEqual([line, line]);
  await stage.stop();
});

test.concurrent("a host that is silent for more than 5 seconds is given up", async () => {
  const stage = await createFabric();
  const worker = await createHost(stage, "w");
  await formed(stage);
  await worker.beat();
  stage.clock.now += 5000;
  await stage.ticked();
  expect(stage.hosts.at(-1)).toEqual(["w"]);
  stage.clock.now += 1;
  await wrote(stage, "w-name is gone");
  expect(stage.hosts.at(-1)).toEqual([]);
  await Promise.all([stage.stop(), worker.stop()]);
});

test.concurrent("a fabric that expects hosts adopts what they hold, and gives ends that came early to the sink then", async () => {
  const stage = await createFabric({ expected: ["w", "dead"] });
  const worker = await createHost(stage, "w");
  const dead = await createHost(stage, "dead");
  const { state, list } = await worker.beat();
  expect([state, list]).toEqual(["forming", null]);
  // A host that is there, and then does not answer the census any more.
  await dead.beat();
  await dead.peer.stop();
  await until(async () => (await worker.beat()).list !== null, "the host has the list");
  worker.peer.submit(encoded(step({ rowId: "held", role: "work", attempt: 2 })));
  worker.peer.submit(encoded(end({ rowId: "early" })));
  await until(() => stage.peer.broker.counts.held > 0, "the end has arrived");
  await stage.ticked();
  expect([stage.tasks.ends, stage.tasks.adopted, stage.hosts]).toEqual([[], [], []]);
  await pass(stage, 5001, worker);
  await formed(stage);
  expect(stage.tasks.ends.map(({ task }) => task.rowId)).toEqual(["early"]);
  expect(stage.tasks.adopted.sort()).toEqual([`${key("early")} 1`, `${key("held")} 2`]);
  expect(stage.lines.at(-1)).toBe('info took over the tasks that hosts held {"tasks":2}');
  expect(stage.hosts).toEqual([["w"]]);
  await Promise.all([stage.stop(), worker.stop()]);
});

test.concurrent("a fabric says that it took over tasks, also when there is only one", async () => {
  const stage = await createFabric({ expected: ["w"] });
  const worker = await createHost(stage, "w");
  const self = { id: "w", name: "w", roles: ["work"], address: worker.peer.server.url };
  worker.peer.routing.update([{ ...self, isSink: false, leaving: false }]);
  worker.peer.submit(encoded(step({ rowId: "held", role: "work" })));
  await worker.beat();
  await formed(stage);
  expect(stage.tasks.adopted).toEqual([`${key("held")} 1`]);
  expect(stage.lines.at(-1)).toBe('info took over the tasks that hosts held {"tasks":1}');
  await Promise.all([stage.stop(), worker.stop()]);
});

test.concurrent("a fabric waits up to 5 seconds for the hosts that it expects", async () => {
  const stage = await createFabric({ expected: ["gone"] });
  stage.clock.now += 4999;
  await stage.ticked();
  expect(stage.hosts).toEqual([]);
  stage.clock.now += 1;
  await formed(stage);
  expect([stage.hosts, stage.lines]).toEqual([[[]], []]);
  await stage.stop();
});

test.concurrent("steps go to a host, and their ends come to the sink until they are released", async () => {
  const stage = await createFabric();
  const worker = await createHost(stage, "w");
  await formed(stage);
  await worker.beat();
  await worker.beat({ known: null });
  stage.transport.submit(step({ rowId: "x", role: "work" }));
  await until(() => worker.received.length === 1, "the step has arrived");
  const [received] = worker.received;
  if (received === undefined) throw new Error("it arrived");
  expect(received.task).toBeInstanceOf(EncodedTask);
  worker.peer.handOn(received.task, { ...end({ rowId: "x", hops: 1 }), task: received.task });
  await until(() => stage.tasks.ends.length === 1, "the end has arrived");
  expect(stage.peer.broker.idle).toBe(false);
  stage.transport.release(stage.tasks.ends as EndMessage[]);
  await until(() => stage.peer.broker.idle && worker.peer.broker.idle, "nothing is in custody");
  // 5 bytes of the host's beat, and what the driver's own links have sent.
  expect(stage.fabric.wireBytes).toBe(5 + stage.peer.links.bytesSent);
  expect(stage.peer.links.bytesSent).toBeGreaterThan(0);
  await Promise.all([stage.stop(), worker.stop()]);
});

for (const [delivery, then] of [
  ["retry", "their rows start again"],
  ["at-most-once", "they are recorded as lost"],
] as const)
  test.concurrent(`with delivery ${delivery} the log says of tasks that no process holds: ${then}`, async () => {
    const stage = await createFabric({ delivery });
    const worker = await createHost(stage, "w");
    await formed(stage);
    await worker.beat();
    stage.tasks.inFlight = new Set([key("x"), key("y")]);
    stage.fabric.died("unknown");
    stage.fabric.died("w");
    await wrote(stage, then);
    expect(stage.lines.slice(-3)).toEqual([
      `info no process holds a task {"task":"${key("x")}"}`,
      `info no process holds a task {"task":"${key("y")}"}`,
      `warning no process holds 2 of the tasks any more: ${then}`,
    ]);
    await stage.ticked();
    expect(stage.lines.filter((line) => line.includes(then))).toHaveLength(1);
    await Promise.all([stage.stop(), worker.stop()]);
  });

test.concurrent("tasks are counted when none has ended for more than 15 seconds, and each end puts that off", async () => {
  const stage = await createFabric();
  const worker = await createHost(stage, "w");
  await formed(stage);
  await worker.beat();
  stage.tasks.inFlight = new Set([key("x")]);
  await pass(stage, 14_000, worker);
  await stage.ticked();
  stage.fabric.settle("y", 0);
  await pass(stage, 15_000, worker);
  await stage.ticked();
  await stage.ticked();
  expect(stage.tasks.inFlight.size).toBe(1);
  stage.clock.now += 1;
  await wrote(stage, "no process holds 1 of the tasks");
  expect(stage.tasks.inFlight.size).toBe(0);
  // They are counted again only when another 15 seconds have passed.
  stage.tasks.inFlight = new Set([key("z")]);
  const { bytesSent } = stage.peer.links;
  await stage.ticked();
  await stage.ticked();
  expect(stage.peer.links.bytesSent).toBe(bytesSent);
  await Promise.all([stage.stop(), worker.stop()]);
});

test.concurrent("a host of a role that keeps something is told of ended tasks with its next beat, once", async () => {
  const stage = await createFabric({ roles: ["work", "boxed"], keepers: ["boxed"] });
  const [worker, keeper] = [await createHost(stage, "w"), await createHost(stage, "k", ["boxed"])];
  await formed(stage);
  await worker.beat();
  await keeper.beat();
  stage.fabric.settle("x", 1);
  expect((await worker.beat()).ended).toEqual([]);
  expect((await keeper.beat()).ended).toEqual([["x", 1]]);
  expect((await keeper.beat()).ended).toEqual([]);
  stage.fabric.settle("y", 0);
  // A host that was given up meanwhile lets go of everything by itself.
  stage.fabric.died("k");
  expect((await keeper.beat()).ended).toEqual([]);
  await Promise.all([stage.stop(), worker.stop(), keeper.stop()]);
});

test.concurrent("a fabric that stops tells its hosts that the run is over, and waits until they have left", async () => {
  const stage = await createFabric();
  const worker = await createHost(stage, "w");
  await formed(stage);
  await worker.beat();
  let hasStopped = false;
  const stopping = stage.fabric
    .stop(() => false)
    .then(() => {
      hasStopped = true;
    });
  expect((await worker.beat()).state).toBe("over");
  await stage.ticked();
  expect([hasStopped, stage.stopsOfRates()]).toEqual([false, 0]);
  await worker.leave();
  await stopping;
  expect(stage.stopsOfRates()).toBe(1);
  await expect(worker.beat()).rejects.toThrow();
  await worker.stop();
});

test.concurrent("a fabric that stops waits for a host that keeps its tasks only until the host has heard of it", async () => {
  const stage = await createFabric();
  const worker = await createHost(stage, "w");
  await formed(stage);
  await worker.beat();
  const stopping = stage.fabric.stop((id) => id === "w");
  expect((await worker.beat()).state).toBe("stopped");
  await stopping;
  expect(stage.fabric.hosts.map(({ id }) => id)).toEqual(["w"]);
  await worker.stop();
});

test.concurrent("a fabric that stops asks for no further hosts while it waits for the last ones", async () => {
  const stage = await createFabric({ roles: ["work", "judge"] });
  const worker = await createHost(stage, "w");
  await formed(stage);
  for (const ms of [0, 4000, 4000, 2000]) {
    stage.clock.now += ms;
    await worker.beat();
  }
  const said = stage.lines.length;
  const stopping = stage.fabric.stop(() => false);
  stage.clock.now += 1;
  for (let look = 0; look < 3; look++) await stage.ticked();
  expect(stage.lines.slice(said)).toEqual([]);
  stage.clock.now += 3000;
  await stopping;
  await worker.stop();
});

test.concurrent("a fabric that stops waits no longer than 3 seconds for its hosts", async () => {
  const stage = await createFabric();
  const worker = await createHost(stage, "w");
  await formed(stage);
  await worker.beat();
  const stopping = stage.fabric.stop(() => false);
  stage.clock.now += 3000;
  await stopping;
  await worker.stop();
});

test("a host that handed over something that is not a record is shut out, by its name, and once", async () => {
  const stage = await createFabric();
  const host = await createHost(stage, "a");
  await host.beat();
  await formed(stage);
  stage.fabric.shutOut("a");
  stage.fabric.shutOut("a");
  await wrote(stage, "a-name is shut out: it handed over something that is not a record");
  expect(stage.lines.filter((line) => line.includes("is shut out"))).toHaveLength(1);
  expect(stage.fabric.isFenced("a")).toBe(true);
  expect((await host.beat()).state).toBe("rejoin");
  await host.stop();
  await stage.stop();
});
