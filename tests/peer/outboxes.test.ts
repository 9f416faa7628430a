import { expect, test } from "bun:test";
import type { Held, Sent } from "../../src/peer/custody.ts";
import { Outboxes } from "../../src/peer/outboxes.ts";
import { encodeTask } from "../../src/task/encoded.ts";
import { batch, step, task } from "./one-broker.ts";

function createOutboxes() {
  const woken: string[] = [];
  return { outboxes: new Outboxes((to) => woken.push(to)), woken };
}

/** A copy whose row and history have this many bytes on the wire. */
function sent(seq: number, bytes = 100): Sent {
  const row = { text: "x".repeat(bytes - '{"text":""}'.length) };
  const message = { kind: "step", task: encodeTask({ ...task(), row }) } as const;
  return {
    seq,
    key: `0:${seq}`,
    message,
    position: 1,
    to: "a",
    parkedAt: null,
    state: "waiting",
    upstream: null,
    crashes: 2,
    strikes: 1,
    takenAt: 0,
    startedAt: null,
    struckAt: null,
  };
}

function held(position: number): Held {
  return { key: "0:1", message: step(), position, upstream: null, suspect: null, mayRepeat: false };
}

test("a batch holds parcels in the order of posting, with releases and declared starts", () => {
  const { outboxes, woken } = createOutboxes();
  const [one, two] = [sent(1), sent(2)];
  outboxes.post("a", one);
  outboxes.post("a", two);
  outboxes.release({ from: "a", seq: 7 });
  outboxes.declare({ from: "a", seq: 8 }, held(1_000_003));
  expect(woken).toEqual(["a", "a", "a", "a"]);
  expect(outboxes.take("a", 10, 1e6)).toEqual({
    parcels: [
      { seq: 1, message: one.message, crashes: 2, strikes: 1 },
      { seq: 2, message: two.message, crashes: 2, strikes: 1 },
    ],
    released: [7],
    starting: [[8, 1_000_003]],
  });
  expect([one.state, two.state]).toEqual(["posted", "posted"]);
});

test("parcels and releases are taken once, and a declared start until it is confirmed", () => {
  const { outboxes } = createOutboxes();
  const one = held(5);
  outboxes.post("a", sent(1));
  outboxes.declare({ from: "a", seq: 8 }, one);
  outboxes.take("a", 10, 1e6);
  expect(outboxes.take("a", 10, 1e6)).toEqual(batch({ starting: [[8, 5]] }));
  expect(outboxes.confirm("a", [[8, 4]])).toEqual([]);
  expect(outboxes.confirm("a", [[9, 5]])).toEqual([]);
  expect(outboxes.confirm("b", [[8, 5]])).toEqual([]);
  expect(outboxes.confirm("a", [[8, 5]])).toEqual([one]);
  expect([outboxes.take("a", 10, 1e6), outboxes.take("b", 10, 1e6)]).toEqual([null, null]);
});

test("a batch is limited in parcels, and the next batch takes the rest", () => {
  const { outboxes } = createOutboxes();
  for (let seq = 1; seq <= 5; seq++) outboxes.post("a", sent(seq));
  const seqs = () => outboxes.take("a", 2, 1e6)?.parcels.map(({ seq }) => seq);
  expect([seqs(), seqs(), seqs(), seqs()]).toEqual([[1, 2], [3, 4], [5], undefined]);
});

test("a batch ends before the parcel that would make it too large, but has at least one", () => {
  const { outboxes } = createOutboxes();
  for (const [index, bytes] of [100, 100, 100, 500].entries())
    outboxes.post("a", sent(index, bytes));
  const seqs = () => outboxes.take("a", 10, 200)?.parcels.map(({ seq }) => seq);
  expect([seqs(), seqs(), seqs(), seqs()]).toEqual([[0, 1], [2], [3], undefined]);
});

test("a parcel that is withdrawn is not taken, and each peer has its own outbox", () => {
  const { outboxes } = createOutboxes();
  const one = sent(1);
  outboxes.post("a", one);
  outboxes.post("b", sent(2));
  outboxes.withdraw("b", one);
  outboxes.withdraw("c", one);
  expect(outboxes.peers).toEqual(["a", "b"]);
  outboxes.withdraw("a", one);
  expect(outboxes.take("a", 10, 1e6)).toBeNull();
  expect(outboxes.take("b", 10, 1e6)?.parcels.map(({ seq }) => seq)).toEqual([2]);
});

test("releases that did not arrive are put back without waking anyone", () => {
  const { outboxes, woken } = createOutboxes();
  outboxes.putBack("a", [3, 4, 3]);
  expect(woken).toEqual([]);
  expect(outboxes.take("a", 10, 1e6)).toEqual(batch({ released: [3, 4] }));
});

test("a peer that is gone leaves the suspects that waited for it, and nothing to take", () => {
  const { outboxes } = createOutboxes();
  const one = held(5);
  outboxes.declare({ from: "a", seq: 8 }, one);
  outboxes.release({ from: "a", seq: 9 });
  expect([outboxes.drop("a"), outboxes.drop("a"), outboxes.peers]).toEqual([[one], [], []]);
  expect(outboxes.take("a", 10, 1e6)).toBeNull();
});

test("all peers with something to take are woken, whatever it is, and no others", () => {
  const { outboxes, woken } = createOutboxes();
  outboxes.post("parcel", sent(1));
  outboxes.release({ from: "release", seq: 1 });
  outboxes.declare({ from: "start", seq: 1 }, held(1));
  outboxes.post("taken", sent(2));
  outboxes.take("taken", 10, 1e6);
  woken.length = 0;
  outboxes.wakeAll();
  expect(woken).toEqual(["parcel", "release", "start"]);
});
