// The links of one process to a peer that is a real server: what it is sent in one request, and
// what the broker is told of the answers.

import { expect, test } from "bun:test";
import { PeerServer } from "../../src/http/peer-server.ts";
import type { Broker } from "../../src/peer/broker.ts";
import { decodeBatch } from "../../src/peer/decode.ts";
import { encodeAnswer } from "../../src/peer/encode.ts";
import { Links } from "../../src/peer/links.ts";
import type { Answer, Batch, Receipt } from "../../src/peer/parcel.ts";
import { Routing } from "../../src/peer/routing.ts";
import { Store } from "../../src/peer/store.ts";
import { EncodedTask, encodeTask } from "../../src/task/encoded.ts";
import { until } from "../parts/until.ts";
import { batch, member, parcel, step, task } from "./one-broker.ts";

const TOKEN = "the-token";
const NONE: Answer = { refused: [], incomplete: [], load: {} };

interface Told {
  readonly to: string;
  readonly seqs: readonly number[];
  readonly receipt?: Receipt | Answer;
  readonly maybeTaken?: boolean;
}

/**
 * Links to `peer`, which answers each batch as `answer` says. `batches` are to be taken one after
 * the other; `taken` counts the calls that found one.
 */
async function createLinks(
  batches: Batch[],
  answer: (batch: Batch, request: number) => Answer | Promise<Answer>,
  { above = 1e9, store = new Store(1e6) as Store | null } = {},
) {
  const told: Told[] = [];
  const received: {
    readonly batch: Batch;
    readonly incomplete: readonly number[];
    readonly bytes: number;
  }[] = [];
  const server = await PeerServer.listen({
    hostname: "127.0.0.1",
    port: 0,
    token: TOKEN,
    tls: false,
    self: "peer",
    onBug: (thrown) => told.push({ to: `bug: ${thrown}`, seqs: [] }),
  });
  server.start({
    metrics: () => "",
    routes: {
      batch: {
        bytesMax: 1e6,
        run: async (body) => {
          const decoded = decodeBatch(body, () => null, 1000);
          received.push({ ...decoded, bytes: body.length });
          return encodeAnswer(await answer(decoded.batch, received.length));
        },
      },
      echo: { bytesMax: 10, run: (body) => body },
    },
  });
  const seqsOf = ({ parcels }: Batch) => parcels.map(({ seq }) => seq);
  const broker: Pick<Broker, "take" | "delivered" | "undelivered"> = {
    take: () => batches.shift() ?? null,
    delivered: (to, batch, receipt) => told.push({ to, seqs: seqsOf(batch), receipt }),
    undelivered: (to, batch, maybeTaken) => told.push({ to, seqs: seqsOf(batch), maybeTaken }),
  };
  const routing = new Routing();
  routing.update([{ ...member("peer", ["work"]), address: server.url }]);
  const links = new Links({
    self: "self",
    token: TOKEN,
    identity: null,
    routing,
    broker,
    store,
    above,
    clock: () => 1000,
  });
  const stop = async () => {
    links.close();
    await server.stop();
  };
  return { links, routing, told, received, server, [Symbol.asyncDispose]: stop };
}

/** A step whose task was with the peer before, at mark 5. */
function known(seq: number) {
  const encoded = encodeTask({ ...task({ rowId: `${seq}` }), row: { text: "x".repeat(100) } });
  const { rowBytes, historyBytes, totals } = encoded;
  const trail = [{ host: "peer", id: 5, bytes: 0 }];
  const there = new EncodedTask(
    task({ rowId: `${seq}` }),
    rowBytes,
    historyBytes,
    totals,
    trail,
    {},
  );
  return parcel(seq, { kind: "step", task: there });
}

test("everything of one turn goes into one request, and the broker is told that it arrived", async () => {
  await using linked = await createLinks(
    [batch({ parcels: [parcel(1, step())], released: [2] })],
    () => ({
      ...NONE,
      refused: [1],
    }),
  );
  const { links, told, received } = linked;
  links.wake("peer");
  links.wake("peer");
  await until(() => told.length > 0, "the broker is told");
  expect(received.map(({ batch }) => [batch.parcels.length, batch.released])).toEqual([[1, [2]]]);
  expect(told).toEqual([{ to: "peer", seqs: [1], receipt: { ...NONE, refused: [1] } }]);
  expect(links.bytesSent).toBe(received[0]?.bytes ?? 0);
});

test("at most two requests to a peer are under way, and the next follows when one is answered", async () => {
  const answers: PromiseWithResolvers<Answer>[] = [];
  const batches = [1, 2, 3, 4].map((seq) => batch({ parcels: [parcel(seq, step())] }));
  await using linked = await createLinks(batches, () => {
    const answer = Promise.withResolvers<Answer>();
    answers.push(answer);
    return answer.promise;
  });
  const { links, told } = linked;
  links.wake("peer");
  await until(() => answers.length === 2, "two requests came");
  links.wake("peer");
  await new Promise((resolve) => setImmediate(resolve));
  expect(batches).toHaveLength(2);
  answers[0]?.resolve(NONE);
  await until(() => answers.length === 3, "a third request came");
  expect([batches.length, told.length]).toEqual([1, 1]);
  for (const answer of answers) answer.resolve(NONE);
  await until(() => answers.length === 4, "a fourth request came");
  answers[3]?.resolve(NONE);
  await until(() => told.length === 4, "all are answered");
});

test("incomplete parcels are sent again whole, alone, and the others count as delivered at once", async () => {
  const sent = batch({
    parcels: [known(1), known(2), known(3)],
    released: [7],
    starting: [[8, 9]],
  });
  await using linked = await createLinks(
    [sent],
    (_batch, request) =>
      request === 1 ? { ...NONE, incomplete: [1, 3], refused: [2] } : { ...NONE, refused: [3] },
    { above: 10 },
  );
  const { links, told, received } = linked;
  links.wake("peer");
  await until(() => told.length === 2, "both parts are told");
  expect(received[0]?.incomplete).toEqual([1, 2, 3]);
  expect(received[1]?.batch.parcels.map(({ seq, message }) => [seq, message.task.row])).toEqual([
    [1, { text: "x".repeat(100) }],
    [3, { text: "x".repeat(100) }],
  ]);
  expect([received[1]?.batch.released, received[1]?.batch.starting]).toEqual([[], []]);
  expect(told).toEqual([
    { to: "peer", seqs: [2], receipt: { load: {}, incomplete: [1, 3], refused: [2] } },
    { to: "peer", seqs: [1, 3], receipt: { load: {}, incomplete: [], refused: [3] } },
  ]);
});

test("without a store nothing is left out, and what is left out is kept in the store", async () => {
  for (const store of [null, new Store(1e6)]) {
    const one = known(1);
    await using linked = await createLinks([batch({ parcels: [one] })], () => NONE, {
      above: 10,
      store,
    });
    const { links, told, received } = linked;
    links.wake("peer");
    await until(() => told.length === 1, "the broker is told");
    expect(received[0]?.incomplete).toEqual(store === null ? [] : [1]);
    const mark = (one.message.task as EncodedTask).markOf("self").id;
    expect(store?.find("0:1", mark)?.mark).toBe(store === null ? undefined : mark);
  }
});

test("a task that is sent lets go of what was parsed of it", async () => {
  const one = known(1);
  const { row } = one.message.task;
  expect(one.message.task.row).toBe(row);
  await using linked = await createLinks([batch({ parcels: [one] })], () => NONE);
  linked.links.wake("peer");
  await until(() => linked.told.length === 1, "the broker is told");
  expect(one.message.task.row).not.toBe(row);
});

test("a receiver that does not know the sender is told of as such, and not asked again at once", async () => {
  const batches = [1, 2, 3].map((seq) => batch({ parcels: [parcel(seq, step())] }));
  await using linked = await createLinks(batches, () => null);
  const { links, told } = linked;
  links.wake("peer");
  await until(() => told.length === 2, "both requests are answered");
  await new Promise((resolve) => setImmediate(resolve));
  expect([told.map(({ receipt }) => receipt), batches.length]).toEqual([[null, null], 1]);
});

test("routing uses the load that an answer reports", async () => {
  const load = { work: { busy: 9, queued: 0, slots: 1 } };
  await using linked = await createLinks([batch({ parcels: [parcel(1, step())] })], () => ({
    ...NONE,
    load,
  }));
  const { links, told, routing } = linked;
  const others = [...routing.members, member("other", ["work"])];
  routing.update(others);
  const destination = { kind: "role", role: "work" } as const;
  const choose = (key: string) => routing.choose(destination, key, 0, () => false);
  const key = Array.from({ length: 50 }, (_, n) => `${n}`).find((n) => choose(n) === "peer") ?? "";
  links.wake("peer");
  await until(() => told.length > 0, "the broker is told");
  expect(choose(key)).toBe("other");
});

test("an answer that cannot be read was an answer: the peer may have taken the batch", async () => {
  await using linked = await createLinks(
    [batch({ parcels: [parcel(1, step())] })],
    () => 5 as never,
  );
  linked.links.wake("peer");
  await until(() => linked.told.length > 0, "the broker is told");
  expect(linked.told).toEqual([{ to: "peer", seqs: [1], maybeTaken: true }]);
});

test("a peer that is not there has certainly not taken the batch", async () => {
  await using linked = await createLinks([batch({ parcels: [parcel(1, step())] })], () => NONE);
  const { links, told, server } = linked;
  await server.stop();
  links.wake("peer");
  await until(() => told.length > 0, "the broker is told");
  expect(told).toEqual([{ to: "peer", seqs: [1], maybeTaken: false }]);
});

test("a request to a process that is not a member fails, and waking it does nothing", async () => {
  await using linked = await createLinks([batch({ released: [1] })], () => NONE);
  const { links, told } = linked;
  links.wake("stranger");
  await expect(links.request("stranger", "echo", new Uint8Array(1), 1000)).rejects.toMatchObject({
    code: "peer_failed",
    message: "stranger is not a member of the run",
    maybeActed: false,
  });
  expect([told, links.bytesSent]).toEqual([[], 0]);
});

test("a request beside batches is answered, and counts with the bytes that were sent", async () => {
  await using linked = await createLinks([], () => NONE);
  const answer = await linked.links.request("peer", "echo", new Uint8Array([1, 2, 3]), 5000);
  expect([[...answer], linked.links.bytesSent]).toEqual([[1, 2, 3], 3]);
});

test("the session to a peer that is gone is closed, and one that stays is kept", async () => {
  await using linked = await createLinks([], () => NONE);
  const { links, routing } = linked;
  const ask = () => links.request("peer", "echo", new Uint8Array(1), 5000);
  await ask();
  links.prune();
  await ask();
  routing.update([]);
  links.prune();
  await expect(ask()).rejects.toMatchObject({ code: "peer_failed" });
});

test("a link that was closed opens no further session", async () => {
  await using linked = await createLinks([batch({ parcels: [parcel(1, step())] })], () => NONE);
  const { links, told } = linked;
  const ask = () => links.request("peer", "echo", new Uint8Array(1), 50_000);
  await ask();
  links.close();
  await expect(ask()).rejects.toMatchObject({ code: "peer_failed", maybeActed: false });
  links.wake("peer");
  await until(() => told.length > 0, "the broker is told");
  expect(told).toEqual([{ to: "peer", seqs: [1], maybeTaken: false }]);
});
