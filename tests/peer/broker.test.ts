// The broker of one process, step by step: what it holds, sends, releases and gives up. The
// promises of many brokers together are proved in simulation.test.ts.

import { describe, expect, test } from "bun:test";
import type { BrokerOptions } from "../../src/peer/broker.ts";
import { positionOf } from "../../src/peer/parcel.ts";
import type { EndMessage, Message, Task } from "../../src/task/task.ts";
import {
  batch,
  brief,
  createBroker,
  end,
  fork,
  member,
  parcel,
  SELF,
  step,
  task,
} from "./one-broker.ts";

const A = member("a", ["work"]);
const B = member("b", ["work"]);
const away = { role: "work" };

describe("holding", () => {
  test("a message that arrives is delivered once, and held until its step is done", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A);
    expect(broker.idle).toBe(true);
    const message = step();
    expect(receive("a", parcel(7, message))).toEqual({ refused: [] });
    expect(delivered).toEqual([message]);
    expect([broker.counts.held, broker.counts.sent, broker.idle]).toEqual([1, 0, false]);
    expect(take("a")).toBeNull();
  });

  test("a batch of a sender that is not on the list is not taken, and gets no receipt", () => {
    const { broker, members, receive, delivered } = createBroker();
    members(A);
    expect(receive("stranger", parcel(1, step()))).toBeNull();
    expect([delivered, broker.idle]).toEqual([[], true]);
  });

  test("an end is released to its sender when the sink has written it, and not for another position", () => {
    const { broker, members, receive, take } = createBroker();
    members(A);
    receive("a", parcel(3, end()));
    broker.complete(end({ attempt: 2 }));
    broker.complete(end({ rowId: "2" }));
    expect([broker.counts.held, take("a")]).toEqual([1, null]);
    broker.complete(end());
    expect([broker.counts.held, take("a")]).toEqual([0, batch({ released: [3] })]);
  });

  test("a second copy from the same sender is dropped and counted, and releases nothing", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A);
    receive("a", parcel(1, step()));
    expect(receive("a", parcel(1, step()))).toEqual({ refused: [] });
    expect([delivered.length, broker.counts.duplicates, take("a")]).toEqual([1, 1, null]);
  });

  test("a second copy from another sender releases the first one's, and its sender keeps the task", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A, B);
    receive("a", parcel(1, end()));
    receive("b", parcel(9, end()));
    expect([delivered.length, take("a"), take("b")]).toEqual([1, batch({ released: [1] }), null]);
    broker.complete(end());
    expect([take("a"), take("b")]).toEqual([null, batch({ released: [9] })]);
    receive("a", parcel(2, end({ rowId: "2" })));
    receive("a", parcel(3, end({ rowId: "2" })));
    expect(take("a")).toEqual(batch({ released: [2] }));
    // Each sender counts for itself, so two of them may have the same number for it.
    receive("a", parcel(4, end({ rowId: "3" })));
    receive("b", parcel(4, end({ rowId: "3" })));
    expect([take("a"), take("b")]).toEqual([batch({ released: [4] }), null]);
  });

  test("a copy of an earlier hop or attempt is dropped and released at once", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A);
    receive("a", parcel(1, step({ hops: 2, attempt: 2 })));
    receive(
      "a",
      parcel(2, step({ hops: 1, attempt: 2 })),
      parcel(3, step({ hops: 5 })),
      parcel(4, end()),
    );
    expect([delivered.length, broker.counts.duplicates]).toEqual([1, 3]);
    expect(take("a")).toEqual(batch({ released: [2, 3, 4] }));
  });

  test("a copy of a step that was done here is dropped and released, also after its task went on", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A, B);
    receive("a", parcel(1, step({ hops: 1 })));
    broker.handOn(task({ hops: 1 }), end({ hops: 2 }));
    receive("b", parcel(5, step({ hops: 1 })));
    expect([delivered.length, broker.counts.duplicates, take("b")]).toEqual([
      1,
      1,
      batch({ released: [5] }),
    ]);
  });

  test("a newer copy overtakes the held one, whose sender is released and whose step leads nowhere", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A, B);
    receive("a", parcel(1, step({ hops: 1 })));
    receive("b", parcel(2, step({ hops: 3 })));
    expect([delivered.length, broker.counts.held, take("a")]).toEqual([
      2,
      1,
      batch({ released: [1] }),
    ]);
    broker.handOn(task({ hops: 1 }), end({ hops: 2 }));
    expect([broker.counts.held, broker.counts.sent]).toEqual([1, 0]);
    broker.handOn(task({ rowId: "unknown" }), end({ rowId: "unknown" }));
    expect(broker.counts.sent).toBe(0);
    broker.handOn(task({ hops: 3 }), end({ hops: 4 }));
    expect(brief(take("driver"))).toEqual(["1 end 1/1 0.0"]);
  });

  test("a full host refuses a message that begins here, but takes branches and awaited ends", () => {
    const { broker, members, receive } = createBroker({ capacity: 2 });
    members(A);
    const branch = { of: "self", id: 1 };
    broker.submit(step({ rowId: "9", branch, ...away }));
    expect(receive("a", parcel(1, step()), parcel(2, step({ rowId: "2" })))).toEqual({
      refused: [],
    });
    expect(receive("a", parcel(3, step({ rowId: "3" })))).toEqual({ refused: [3] });
    expect(receive("a", parcel(4, step({ rowId: "4", branch: { of: "a", id: 4 } })))).toEqual({
      refused: [],
    });
    expect(receive("a", parcel(5, end({ rowId: "9", branch })))).toEqual({ refused: [] });
    // A newer copy needs room like any other message.
    expect(receive("a", parcel(6, step({ hops: 1 })))).toEqual({ refused: [6] });
    expect([broker.counts.held, broker.counts.refused]).toEqual([4, 2]);
  });

  test("a host that leaves takes only what no other host can do, and the ends that it waits for", () => {
    const { broker, members, receive } = createBroker({
      pinnedTo: ({ task }) => (task.rowId === "pinned" ? "self" : null),
    });
    members(A);
    const branch = { of: "self", id: 1 };
    broker.submit(step({ rowId: "9", branch, ...away }));
    broker.leave();
    const refused = receive(
      "a",
      parcel(1, step()),
      parcel(2, step({ rowId: "pinned" })),
      parcel(3, step({ branch: { of: "a", id: 3 } })),
      parcel(4, end({ rowId: "9", branch })),
    );
    expect(refused).toEqual({ refused: [1, 3] });
  });
});

describe("sending", () => {
  test("the sender of a task is released once the next host has it, and not before", () => {
    const { broker, members, receive, take } = createBroker();
    members(A, B);
    receive("a", parcel(4, step()));
    broker.handOn(task(), end({ hops: 1 }));
    expect([broker.counts.held, broker.counts.sent, take("a")]).toEqual([0, 1, null]);
    const taken = take("driver");
    expect(brief(taken)).toEqual(["1 end 1/1 0.0"]);
    expect([take("driver"), take("a")]).toEqual([null, null]);
    broker.delivered("driver", taken ?? batch({}), { refused: [] });
    expect(take("a")).toEqual(batch({ released: [4] }));
    expect(broker.counts.sent).toBe(1);
    broker.receive("driver", batch({ released: [1] }));
    expect(broker.idle).toBe(true);
  });

  test("a copy is let go when its receiver handed the task on, and its sender is released then", () => {
    const { broker, members, receive, take } = createBroker();
    members(A, B);
    receive("a", parcel(4, step()));
    broker.handOn(task(), end({ hops: 1 }));
    take("driver");
    broker.receive("b", batch({ released: [1, 99] }));
    expect(broker.counts.sent).toBe(1);
    // The receipt was lost on its way.
    broker.receive("driver", batch({ released: [1] }));
    expect([broker.idle, take("a")]).toEqual([true, batch({ released: [4] })]);
  });

  test("a task that stays here for some hops is kept by the host that brought it until it leaves", () => {
    const { broker, members, receive, delivered, deliver, take } = createBroker();
    members(A);
    receive("a", parcel(4, step()));
    broker.handOn(task(), step({ hops: 1 }));
    expect([delivered.length, broker.counts.held, take("a")]).toEqual([2, 1, null]);
    broker.handOn(task({ hops: 1 }), end({ hops: 2 }));
    deliver("driver");
    expect(take("a")).toEqual(batch({ released: [4] }));
  });

  test("numbers of parcels count from 1, over all receivers", () => {
    const { broker, members, take } = createBroker();
    members(A);
    broker.submit(step(away));
    broker.submit(end({ rowId: "2" }));
    expect([brief(take("a")), brief(take("driver"))]).toEqual([
      ["1 step 1/1 0.0"],
      ["2 end 2/1 0.0"],
    ]);
  });

  test("a message for a role that no host serves is parked, and goes out when one comes", () => {
    const { broker, members, take } = createBroker();
    members();
    broker.submit(step(away));
    expect([broker.counts.parked, broker.counts.sent, broker.idle]).toEqual([1, 1, false]);
    members(A);
    expect([broker.counts.parked, brief(take("a"))]).toEqual([0, ["1 step 1/1 0.0"]]);
  });

  test("a refused parcel goes to another host, and the full one is passed over for 50 ms", () => {
    const { broker, members, clock, take } = createBroker();
    members(A);
    broker.submit(step(away));
    broker.delivered("a", take("a") ?? batch({}), { refused: [1] });
    expect(broker.counts.parked).toBe(1);
    clock.now += 49;
    broker.tick();
    expect(take("a")).toBeNull();
    clock.now += 1;
    broker.tick();
    expect(brief(take("a"))).toEqual(["1 step 1/1 0.0"]);
    broker.delivered("a", batch({ parcels: [parcel(1, step(away))] }), { refused: [1] });
    members(A, B);
    expect(brief(take("b"))).toEqual(["1 step 1/1 0.0"]);
  });

  test("a host that answers without refusing is not passed over any more", () => {
    const { broker, members, take } = createBroker();
    members(A);
    broker.submit(step(away));
    broker.undelivered("a", take("a") ?? batch({}), false);
    expect(broker.counts.parked).toBe(1);
    broker.delivered("a", batch({}), { refused: [] });
    broker.tick();
    expect(brief(take("a"))).toEqual(["1 step 1/1 0.0"]);
  });

  test("a host that does not know this process gets the whole batch again after 50 ms", () => {
    const { broker, members, clock, receive, take } = createBroker();
    members(A);
    receive("a", parcel(8, end()));
    broker.complete(end());
    broker.submit(step({ rowId: "2", ...away }));
    const taken = take("a");
    expect([brief(taken), taken?.released]).toEqual([["1 step 2/1 0.0"], [8]]);
    broker.delivered("a", taken ?? batch({}), null);
    clock.now += 49;
    broker.tick();
    expect(take("a")).toEqual(batch({ released: [8] }));
    clock.now += 1;
    broker.tick();
    expect(brief(take("a"))).toEqual(["1 step 2/1 0.0"]);
  });

  test("a host that did not answer is passed over for a second, and then gets its releases again", () => {
    const { broker, members, clock, receive, take } = createBroker();
    members(A);
    receive("a", parcel(8, end()));
    broker.complete(end());
    broker.submit(step({ rowId: "2", ...away }));
    broker.undelivered("a", take("a") ?? batch({}), false);
    expect(take("a")).toEqual(batch({ released: [8] }));
    clock.now += 999;
    broker.tick();
    expect(take("a")).toBeNull();
    clock.now += 1;
    broker.tick();
    expect(brief(take("a"))).toEqual(["1 step 2/1 0.0"]);
  });

  test("a message that may have arrived counts as a crash when it is sent again", () => {
    const { broker, members, take } = createBroker();
    members(A);
    broker.submit(step(away));
    const taken = take("a");
    members(A, B);
    broker.undelivered("a", taken ?? batch({}), true);
    expect(brief(take("b"))).toEqual(["1 step 1/1 1.0"]);
  });

  test("releases for a host that is gone are forgotten", () => {
    const { broker, members, receive, take } = createBroker();
    members(A);
    receive("a", parcel(8, end()));
    broker.complete(end());
    const taken = take("a");
    members();
    broker.undelivered("a", taken ?? batch({}), false);
    members(A);
    expect(take("a")).toBeNull();
  });

  test("a late receipt of a host that lost the message to another changes nothing", () => {
    for (const refused of [[], [1]]) {
      const { broker, members, receive, take } = createBroker();
      members(A, member("c", ["upstream"]));
      receive("c", parcel(7, step()));
      broker.handOn(task(), step({ hops: 1, ...away }));
      const late = take("a");
      members(B, member("c", ["upstream"]));
      expect(brief(take("b"))).toEqual(["1 step 1/1 1.0"]);
      broker.delivered("a", late ?? batch({}), { refused });
      expect([take("b"), take("c"), broker.counts.parked]).toEqual([null, null, 0]);
    }
  });

  test("a late failure of a host that lost the message to another changes nothing", () => {
    const { broker, members, take } = createBroker();
    members(A);
    broker.submit(step(away));
    const late = take("a");
    members(B);
    take("b");
    broker.undelivered("a", late ?? batch({}), true);
    expect([take("b"), broker.counts.parked]).toEqual([null, 0]);
    members(A);
    expect(brief(take("a"))).toEqual(["1 step 1/1 2.0"]);
  });

  test("a tick wakes the links of peers that have something to take, and of no others", () => {
    const { broker, members, woken, deliver } = createBroker();
    members(A, B);
    broker.submit(end());
    expect(woken).toEqual(["driver"]);
    broker.tick();
    expect(woken).toEqual(["driver", "driver"]);
    deliver("driver");
    broker.tick();
    expect(woken).toEqual(["driver", "driver"]);
  });

  /** Rows whose first choice among this process and host c is c. */
  const C = member("c", ["here"]);
  const rowFor = (process: ReturnType<typeof createBroker>, to: string): string => {
    for (let row = 0; ; row++) {
      const destination = { kind: "role", role: "here" } as const;
      if (process.routing.choose(destination, `0:${row}`, 0, () => false) === to) return `${row}`;
    }
  };

  test("a message that no other host takes comes back to its sender, which holds it again", () => {
    const process = createBroker();
    const { broker, members, delivered, receive, take } = process;
    members(A, C);
    const rowId = rowFor(process, "c");
    receive("a", parcel(1, step({ rowId })));
    broker.handOn(task({ rowId }), step({ rowId, hops: 1 }));
    expect(brief(take("c"))).toEqual([`1 step ${rowId}/1 0.0`]);
    broker.delivered("c", batch({ parcels: [parcel(1, step({ rowId }))] }), { refused: [1] });
    expect([broker.counts.held, broker.counts.sent, delivered.length]).toEqual([1, 0, 2]);
    broker.handOn(task({ rowId, hops: 1 }), end({ rowId, hops: 2 }));
    broker.delivered("driver", take("driver") ?? batch({}), { refused: [] });
    expect(take("a")).toEqual(batch({ released: [1] }));
  });

  test("a message that comes back after it may have killed a host is a suspect", () => {
    const process = createBroker();
    const { broker, members, delivered, receive, take } = process;
    members(A, C);
    const rowId = rowFor(process, "c");
    receive("a", parcel(1, step({ rowId })));
    broker.handOn(task({ rowId }), step({ rowId, hops: 1 }));
    broker.undelivered("c", take("c") ?? batch({}), true);
    expect([delivered.length, take("a")?.starting]).toEqual([1, [[1, 1_000_001]]]);
  });

  test("a message that comes back when a newer copy is here is dropped, and its sender is released", () => {
    const process = createBroker();
    const { broker, members, delivered, receive, take } = process;
    members(A, B, C);
    const rowId = rowFor(process, "c");
    receive("a", parcel(1, step({ rowId })));
    broker.handOn(task({ rowId }), step({ rowId, hops: 1 }));
    const taken = take("c") ?? batch({});
    receive("b", parcel(2, step({ rowId, hops: 5 })));
    broker.delivered("c", taken, { refused: [1] });
    expect([delivered.length, broker.counts.held, broker.counts.sent]).toEqual([2, 1, 0]);
    expect([broker.counts.duplicates, take("a")]).toEqual([1, batch({ released: [1] })]);
  });

  test("a message that comes back when the same one is here is dropped, and done once", () => {
    const process = createBroker();
    const { broker, members, delivered, receive, take } = process;
    members(A, B, C);
    const rowId = rowFor(process, "c");
    receive("a", parcel(1, step({ rowId })));
    broker.handOn(task({ rowId }), step({ rowId, hops: 1 }));
    const taken = take("c") ?? batch({});
    receive("b", parcel(2, step({ rowId, hops: 1 })));
    broker.delivered("c", taken, { refused: [1] });
    expect([delivered.length, broker.counts.duplicates, broker.counts.held]).toEqual([2, 1, 1]);
    expect(take("a")).toEqual(batch({ released: [1] }));
  });
});

describe("delivery at most once", () => {
  const options = { delivery: "at-most-once" } as const;

  test("a message that was acknowledged is not kept, and its sender is not told", () => {
    const { broker, members, receive, deliver, take } = createBroker(options);
    members(A);
    receive("a", parcel(4, step()));
    broker.handOn(task(), end({ hops: 1 }));
    deliver("driver");
    expect([broker.idle, take("a")]).toEqual([true, null]);
  });

  test("a message that may have arrived is not sent again, and one that certainly did not is", () => {
    const { broker, members, take } = createBroker(options);
    members(A, B);
    broker.submit(end({ rowId: "1" }));
    broker.undelivered("driver", take("driver") ?? batch({}), true);
    expect([broker.idle, broker.counts.redelivered]).toEqual([true, 0]);
    broker.submit(end({ rowId: "2" }));
    broker.undelivered("driver", take("driver") ?? batch({}), false);
    expect(broker.counts.parked).toBe(1);
  });

  test("when a host dies, messages posted to it are given up, and waiting ones go elsewhere", () => {
    const { broker, members, take } = createBroker(options);
    members(A);
    broker.submit(step({ rowId: "1", ...away }));
    take("a");
    broker.submit(step({ rowId: "2", ...away }));
    members(B);
    expect([broker.counts.sent, broker.counts.redelivered]).toEqual([1, 1]);
    expect(brief(take("b"))).toEqual(["2 step 2/1 0.0"]);
  });
});

describe("the death of a host", () => {
  test("after a host dies, its messages go to another host, as crashes where they may have begun", () => {
    const { broker, members, deliver, take } = createBroker();
    members(A);
    broker.submit(step({ rowId: "acknowledged", ...away }));
    deliver("a");
    broker.submit(step({ rowId: "posted", ...away }));
    take("a");
    broker.submit(step({ rowId: "waiting", ...away }));
    members(B);
    expect(brief(take("b"))).toEqual([
      "1 step acknowledged/1 1.0",
      "2 step posted/1 1.0",
      "3 step waiting/1 0.0",
    ]);
    expect(broker.counts.redelivered).toBe(3);
  });

  test("a message that was forwarded and still waits when its next host dies has crashed nothing", () => {
    const { broker, members, take } = createBroker();
    members(A);
    broker.submit(step(away));
    const taken = take("a");
    members(A, B);
    broker.undelivered("a", taken ?? batch({}), false);
    members(A, member("c", ["work"]));
    expect([...brief(take("a")), ...brief(take("c"))]).toEqual(["1 step 1/1 0.0"]);
  });

  test("messages to a host that left in peace are sent again without a crash", () => {
    const { broker, members, deliver, take } = createBroker();
    members(A);
    broker.submit(step(away));
    deliver("a");
    members(member("a", ["work"], { leaving: true }), B);
    expect(take("b")).toBeNull();
    members(B);
    expect([brief(take("b")), broker.counts.redelivered]).toEqual([["1 step 1/1 0.0"], 1]);
  });

  test("an end that the dead host had is not a suspect", () => {
    const { broker, members, take } = createBroker();
    members(A);
    broker.submit(end({ branch: { of: "a", id: 1 } }));
    take("a");
    members();
    members(A);
    expect(brief(take("a"))).toEqual(["1 end 1/1 0.0"]);
  });

  test("a message that goes to a second host, and what comes of it, may repeat steps", () => {
    const { broker, members, receive, take, deliver, delivered } = createBroker();
    const repeats = (to: string) =>
      take(to)?.parcels.map(({ message }) => message.task.mayRepeat ?? false);
    members(A);
    broker.submit(step({ role: "work" }));
    deliver("a");
    members(B);
    expect(repeats("b")).toEqual([true]);
    // Here the message comes as it was marked, and its step is begun and handed on so.
    receive("b", parcel(1, step({ rowId: "2", mayRepeat: true })));
    const [message] = delivered;
    const done = broker.begin(message?.task as Task);
    expect(done?.mayRepeat).toBe(true);
    broker.handOn(done as Task, step({ rowId: "2", role: "work", mayRepeat: true, hops: 1 }));
    expect(repeats("b")).toEqual([true]);
  });

  test("a message that its first host never had, or did not take, repeats nothing", () => {
    const { broker, members, take } = createBroker();
    members(A);
    broker.submit(step({ role: "work" }));
    members(B);
    const taken = take("b") ?? batch({});
    expect(taken.parcels.map(({ message }) => message.task.mayRepeat ?? false)).toEqual([false]);
    members(A, B);
    broker.undelivered("b", taken, false);
    expect(take("a")?.parcels.map(({ message }) => message.task.mayRepeat ?? false)).toEqual([
      false,
    ]);
  });

  test("a message whose host may have taken it may repeat steps at the next", () => {
    const { broker, members, take } = createBroker();
    members(A);
    broker.submit(step({ role: "work" }));
    const taken = take("a") ?? batch({});
    members(A, B);
    broker.undelivered("a", taken, true);
    expect(take("b")?.parcels.map(({ message }) => message.task.mayRepeat)).toEqual([true]);
  });

  test("a held step may be a repetition once its sender is gone, also when the step has begun", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A, B);
    receive("a", parcel(1, step()));
    const task = delivered[0]?.task as Task;
    expect(broker.begin(task)?.mayRepeat ?? false).toBe(false);
    members(B);
    expect(broker.begin(task)?.mayRepeat).toBe(true);
    broker.handOn(task, step({ role: "work", hops: 1 }));
    expect(take("b")?.parcels.map(({ message }) => message.task.mayRepeat)).toEqual([true]);
  });

  test("a step may be a repetition when a copy that may be one has come", () => {
    const { broker, members, receive, delivered } = createBroker();
    members(A, B);
    receive("a", parcel(1, step()));
    receive("b", parcel(1, step({ mayRepeat: true })));
    expect(broker.begin(delivered[0]?.task as Task)?.mayRepeat).toBe(true);
  });

  test("a branch may be a repetition once any process is gone", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    const branch = { of: "a", id: 1 };
    members(A, B, member("c", ["work"]));
    receive("a", parcel(1, step({ branch })), parcel(2, step({ rowId: "2" })));
    broker.submit(step({ role: "work", branch: { of: SELF, id: 2 } }));
    members(A, B);
    const [inBranch, outside] = delivered.map(({ task }) => broker.begin(task)?.mayRepeat ?? false);
    expect([inBranch, outside]).toEqual([true, false]);
    const sent = ["a", "b"].flatMap((to) => take(to)?.parcels ?? []);
    expect(sent.map(({ message }) => message.task.mayRepeat)).toEqual([true]);
  });

  test("a step that a newer copy has overtaken, or that was handed over, does not begin", () => {
    const { broker, members, receive, delivered } = createBroker();
    members(A);
    receive("a", parcel(1, step()));
    const old = delivered[0]?.task as Task;
    receive("a", parcel(2, step({ hops: 3 })));
    expect(broker.begin(old)).toBeNull();
    expect(broker.begin(delivered[1]?.task as Task)).not.toBeNull();
    expect(broker.begin(step({ rowId: "other" }).task)).toBeNull();
  });

  test("a process that stood still takes all that it has for a repetition, until its news is told", () => {
    for (const [pauseMs, mayRepeat] of [
      [300, false],
      [301, true],
    ] as const) {
      const { broker, members, receive, delivered, clock } = createBroker();
      members(A);
      receive("a", parcel(1, step()));
      clock.now += pauseMs;
      receive("a", parcel(2, step({ rowId: "2" })));
      for (const { task } of delivered)
        expect(broker.begin(task)?.mayRepeat ?? false).toBe(mayRepeat);
      if (!mayRepeat) continue;
      for (let waited = 0; waited < 9900; waited += 100) {
        clock.now += 100;
        broker.tick();
      }
      receive("a", parcel(3, step({ rowId: "3" })));
      clock.now += 100;
      receive("a", parcel(4, step({ rowId: "4" })));
      const later = delivered.slice(2).map(({ task }) => broker.begin(task)?.mayRepeat ?? false);
      expect(later).toEqual([true, false]);
    }
  });

  test("a process that was given up takes what it has and sends again for a repetition", () => {
    const { broker, members, receive, delivered, deliver, take } = createBroker();
    members(A);
    receive("a", parcel(1, step()));
    broker.submit(step({ rowId: "2", role: "work" }));
    deliver("a");
    broker.repeat();
    expect(broker.begin(delivered[0]?.task as Task)?.mayRepeat).toBe(true);
    expect(take("a")?.parcels.map(({ message }) => message.task.mayRepeat)).toEqual([true]);
  });

  test("a held message whose sender is gone is released to no process", () => {
    const { broker, members, receive, take } = createBroker();
    members(A);
    receive("a", parcel(1, end()));
    members();
    members(A);
    broker.complete(end());
    expect([broker.idle, take("a")]).toEqual([true, null]);
  });

  test("a sent message whose sender is gone is released to no process", () => {
    const { broker, members, receive, deliver, take } = createBroker();
    members(A);
    receive("a", parcel(1, step()));
    broker.handOn(task(), end({ hops: 1 }));
    members();
    members(A);
    deliver("driver");
    expect(take("a")).toBeNull();
  });
});

describe("suspects", () => {
  test("a suspect starts once its sender has heard which step starts", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A);
    receive("a", parcel(5, step({ hops: 3 }), 1));
    const taken = take("a");
    expect([delivered, taken]).toEqual([[], batch({ starting: [[5, 1_000_003]] })]);
    // It is declared until the sender has answered.
    expect(take("a")).toEqual(batch({ starting: [[5, 1_000_003]] }));
    broker.delivered("a", taken ?? batch({}), { refused: [] });
    expect([delivered.length, take("a")]).toEqual([1, null]);
  });

  test("a suspect starts when its sender is gone, and every suspect at once without an upstream", () => {
    const { members, receive, delivered } = createBroker();
    members(A);
    receive("a", parcel(5, step(), 1));
    expect(delivered).toEqual([]);
    members();
    expect(delivered).toHaveLength(1);
    const once = createBroker({ delivery: "at-most-once" });
    once.members(A);
    once.receive("a", parcel(5, step(), 1));
    expect(once.delivered).toHaveLength(1);
  });

  test("each further step of a suspect is declared too, and its end is not", () => {
    const { broker, members, receive, delivered, deliver, take } = createBroker();
    members(A);
    receive("a", parcel(5, step(), 1, 2));
    deliver("a");
    broker.handOn(task(), step({ hops: 1 }));
    expect([delivered.length, take("a")?.starting]).toEqual([1, [[5, 1_000_001]]]);
    deliver("a");
    expect(delivered).toHaveLength(2);
    broker.handOn(task({ hops: 1 }), end({ hops: 2 }));
    expect(brief(take("driver"))).toEqual(["1 end 1/1 0.0"]);
  });

  test("an end that comes with crashes is delivered at once", () => {
    const { members, receive, delivered, take } = createBroker();
    members(A);
    receive("a", parcel(5, end(), 3, 1));
    expect([delivered.length, take("a")]).toEqual([1, null]);
  });

  test("suspects with three strikes run one at a time, and one that waits its turn is not declared", () => {
    const { broker, members, receive, delivered, deliver } = createBroker();
    members(A);
    receive("a", parcel(1, step({ rowId: "1" }), 4, 3), parcel(2, step({ rowId: "2" }), 4, 3));
    expect(deliver("a").starting).toEqual([[1, 1_000_000]]);
    expect(delivered.map(({ task }) => task.rowId)).toEqual(["1"]);
    // The first goes on here, and keeps its turn.
    broker.handOn(task({ rowId: "1" }), step({ rowId: "1", hops: 1 }));
    expect(deliver("a").starting).toEqual([[1, 1_000_001]]);
    broker.handOn(task({ rowId: "1", hops: 1 }), end({ rowId: "1", hops: 2 }));
    expect(deliver("a").starting).toEqual([[2, 1_000_000]]);
    expect(delivered.map(({ task }) => [task.rowId, task.history.length])).toEqual([
      ["1", 0],
      ["1", 1],
      ["2", 0],
    ]);
  });

  test("a suspect whose turn comes after its sender is gone starts at once", () => {
    const { broker, members, receive, delivered, deliver } = createBroker();
    members(A, B);
    receive("a", parcel(1, step({ rowId: "1" }), 4, 3));
    receive("b", parcel(2, step({ rowId: "2" }), 4, 3));
    deliver("a");
    members(A);
    expect(delivered).toHaveLength(1);
    broker.handOn(task({ rowId: "1" }), end({ rowId: "1", hops: 1 }));
    expect(delivered.map(({ task }) => task.rowId)).toEqual(["1", "2"]);
  });

  test("a suspect that was declared and then overtaken is not delivered", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A, B);
    receive("a", parcel(1, step(), 1));
    const taken = take("a") ?? batch({});
    receive("b", parcel(2, step({ hops: 1 })));
    broker.delivered("a", taken, { refused: [] });
    expect(delivered.map(({ task }) => task.history.length)).toEqual([1]);
  });

  /**
   * Lets hosts die one after the other, each at the step that it declared; the parcels they got.
   */
  function dieAt(positions: readonly (number | null)[], maxAttempts: number) {
    const process = createBroker({ maxAttempts });
    const { broker, members, deliver, take } = process;
    let name = 0;
    members(member("host0", ["work"]));
    broker.submit(step(away));
    const seen = [brief(deliver("host0"))[0] ?? ""];
    for (const position of positions) {
      const host = `host${name++}`;
      if (position !== null) broker.receive(host, batch({ starting: [[1, position]] }));
      members(member(`host${name}`, ["work"]));
      const taken = take(`host${name}`);
      if (taken !== null) {
        seen.push(brief(taken)[0] ?? "");
        broker.delivered(`host${name}`, taken, { refused: [] });
      }
    }
    return { ...process, seen: seen.map((one) => one.split(" ").at(-1)) };
  }

  test("strikes count deaths in a row at one step, and begin again at another step", () => {
    expect(dieAt([null, 5, 5, 6, 6, 6, 5], 9).seen).toEqual([
      "0.0",
      "1.0",
      "2.1",
      "3.2",
      "4.1",
      "5.2",
      "6.3",
      "7.1",
    ]);
  });

  test("a death at a step that was not declared counts against no task", () => {
    expect(dieAt([5, null, 5], 9).seen).toEqual(["0.0", "1.1", "2.1", "3.2"]);
  });

  test.each([1, 2, 3])(
    "a task fails after three deaths and, with max_attempts %d, that many more while it runs alone",
    (most) => {
      const deaths = 3 + most;
      const before = dieAt(new Array(deaths - 1).fill(5), most);
      expect([before.broker.counts.poisoned, before.seen.length]).toEqual([0, deaths]);
      const { broker, take, seen } = dieAt(new Array(deaths).fill(5), most);
      expect([broker.counts.poisoned, seen.length]).toEqual([1, deaths]);
      const failed = take("driver")?.parcels[0]?.message as EndMessage;
      expect(failed.ending).toMatchObject({ status: "failed", score: null, stopReason: "error" });
      expect(failed.ending.error).toEqual({
        code: "host_lost",
        message: `${deaths} hosts died while work worked on this task, ${most} of them alone with it (run.max_attempts)`,
        role: "work",
        hop: 0,
      });
    },
  );

  test("a declared start is noted of the host that has the message, and of no other", () => {
    const { broker, members, deliver, take } = createBroker();
    members(A);
    broker.submit(step(away));
    deliver("a");
    members(A, B);
    broker.receive("b", batch({ starting: [[1, 5]] }));
    members(B);
    expect(brief(take("b"))).toEqual(["1 step 1/1 1.0"]);
  });
});

describe("handing over what waits", () => {
  const here = member("c", ["here"]);

  test("a step goes to another host of its role, with its place in custody", () => {
    const { broker, members, receive, deliver, take } = createBroker();
    members(A, here);
    receive("a", parcel(1, step()));
    expect(broker.relocate([step()])).toEqual([]);
    expect([broker.counts.held, broker.counts.sent]).toEqual([0, 1]);
    expect(brief(deliver("c"))).toEqual(["1 step 1/1 0.0"]);
    expect(take("a")).toEqual(batch({ released: [1] }));
  });

  test("a leaving host keeps a step that is pinned, or that no other host can do", () => {
    const pinned = step({ rowId: "pinned" });
    const { broker, members, receive } = createBroker({
      pinnedTo: ({ task }) => (task.rowId === "pinned" ? "self" : null),
    });
    members(A);
    receive("a", parcel(1, step()), parcel(2, pinned));
    expect(broker.relocate([step()])).toEqual([step()]);
    members(A, here);
    expect(broker.relocate([pinned])).toEqual([pinned]);
  });

  test("a step that is not held any more, or was overtaken, is dropped", () => {
    const { broker, members, receive } = createBroker();
    members(A);
    receive("a", parcel(1, step({ hops: 2 })));
    expect(broker.relocate([step({ rowId: "unknown" }), step({ hops: 1 })])).toEqual([]);
    expect([broker.counts.held, broker.counts.sent]).toEqual([1, 0]);
  });

  test("a step that comes back from the host that it was handed to is refused, and any other copy is a duplicate", () => {
    const { broker, members, receive, deliver } = createBroker();
    members(A, here);
    receive("a", parcel(1, step()));
    broker.leave();
    broker.relocate([step()]);
    // The other host leaves, too, before each has heard of it.
    expect(receive("c", parcel(7, step()))).toEqual({ refused: [7] });
    deliver("c");
    expect(receive("c", parcel(7, step()), parcel(8, step({ rowId: "x" })))).toEqual({
      refused: [7, 8],
    });
    expect(broker.counts).toMatchObject({ held: 0, sent: 1, duplicates: 0 });
    expect(receive("a", parcel(2, step()))).toEqual({ refused: [] });
    expect(broker.counts.duplicates).toBe(1);
  });

  test("a step that comes back to a host which does not leave is a duplicate", () => {
    const { broker, members, receive } = createBroker();
    members(A, here);
    receive("a", parcel(1, step()));
    broker.relocate([step()]);
    expect(receive("c", parcel(7, step()))).toEqual({ refused: [] });
  });

  test("a suspect stays one, with its strikes", () => {
    const { broker, members, receive, take, deliver } = createBroker();
    members(A, here);
    receive("a", parcel(1, step(), 5, 2));
    deliver("a");
    broker.relocate([step()]);
    expect(brief(take("c"))).toEqual(["1 step 1/1 1.2"]);
  });

  test("a host that leaves sends its own next steps elsewhere", () => {
    const { broker, members, receive, take } = createBroker();
    members(A, here);
    receive("a", parcel(1, step({ rowId: "1" })));
    broker.leave();
    broker.handOn(task({ rowId: "1" }), step({ rowId: "1", hops: 1 }));
    expect(brief(take("c"))).toEqual(["1 step 1/1 0.0"]);
  });
});

describe("pinned steps", () => {
  const pinnedTo = ({ kind, task }: Message) =>
    kind === "step" && task.rowId === "p" ? "a" : null;

  test("a step goes to the process that holds its state, also where it serves another role", () => {
    const { broker, members, take, clock } = createBroker({ pinnedTo });
    members(A, B);
    broker.submit(step({ rowId: "p", role: "other" }));
    expect(brief(take("a"))).toEqual(["1 step p/1 0.0"]);
    broker.undelivered("a", batch({ parcels: [parcel(1, step())] }), false);
    expect(broker.counts.parked).toBe(1);
    clock.now += 1000;
    broker.tick();
    expect(brief(take("a"))).toEqual(["1 step p/1 0.0"]);
  });

  test("a step whose process is gone ends as sandbox_lost, with the role and the hop", () => {
    const { broker, members, take } = createBroker({ pinnedTo });
    members(A);
    broker.submit(step({ rowId: "p", role: "tools", hops: 4 }));
    members();
    const lost = take("driver")?.parcels[0]?.message as EndMessage;
    const error = {
      code: "sandbox_lost",
      message: "the host that held the sandbox of tools is gone",
      role: "tools",
      hop: 4,
    };
    expect(lost.ending.error).toEqual(error);
    expect(broker.counts.sent).toBe(1);
    broker.submit(step({ rowId: "p", role: "tools", hops: 4, attempt: 2 }));
    const again = take("driver")?.parcels[0]?.message as EndMessage;
    expect(again.ending.error).toEqual(error);
  });
});

describe("forks and branches", () => {
  const branch = { of: "self", id: 7 };

  test("a task that goes several ways at once waits where it is, and elsewhere when this host leaves", () => {
    const { broker, members, receive, delivered, take } = createBroker();
    members(A);
    receive("a", parcel(1, step()));
    broker.handOn(task(), fork({ hops: 1 }));
    expect(delivered.map(({ kind }) => kind)).toEqual(["step", "fork"]);
    broker.leave();
    expect(broker.relocate([fork({ hops: 1 })])).toEqual([]);
    expect(brief(take("a"))).toEqual(["1 fork 1/1 0.0"]);
  });

  test("no task that goes several ways at once is moved by the hash while this host stays", () => {
    const { broker, members, delivered } = createBroker();
    members(A, B, member("c", ["work"]));
    for (let row = 0; row < 20; row++) broker.submit(fork({ rowId: `${row}` }));
    expect([delivered.length, broker.counts.held]).toEqual([20, 20]);
  });

  test("the end of a branch is delivered while it is waited for, and released when it is settled", () => {
    const { broker, members, receive, delivered, deliver, take } = createBroker();
    members(A);
    broker.submit(step({ branch, ...away }));
    expect(brief(deliver("a"))).toEqual(["1 step 1/1 0.0"]);
    receive("a", parcel(9, end({ branch, hops: 1 })));
    expect([delivered.length, take("a")]).toEqual([1, null]);
    broker.settle(task({ branch }));
    expect(take("a")).toEqual(batch({ released: [9] }));
    receive("a", parcel(10, end({ branch, attempt: 2 })));
    expect([delivered.length, broker.counts.duplicates, take("a")]).toEqual([
      1,
      1,
      batch({ released: [10] }),
    ]);
  });

  test("the end of a branch that was done where it is waited for stays there, also when that host leaves", () => {
    const { broker, members, delivered } = createBroker();
    members(A);
    broker.submit(step({ branch }));
    broker.leave();
    broker.handOn(task({ branch }), end({ branch, hops: 1 }));
    expect(delivered.map(({ kind }) => kind)).toEqual(["step", "end"]);
    expect([broker.counts.held, broker.counts.sent]).toEqual([1, 0]);
  });

  test("settling a branch that is under way here does not take its step away", () => {
    const { broker, members, delivered } = createBroker();
    members(A);
    broker.submit(step({ branch }));
    broker.settle(task({ branch }));
    expect([delivered.length, broker.counts.held]).toEqual([1, 1]);
  });

  test("a branch is sent out again as its next attempt when two processes are gone, and not one", () => {
    const { broker, members, deliver, take } = createBroker();
    members(A, B, member("c", ["other"]), member("d", ["other"]));
    broker.submit(step({ branch, role: "other" }));
    const first = brief(take("c")).length > 0 ? "c" : "d";
    if (first === "d") deliver("d");
    members(B, member("c", ["other"]), member("d", ["other"]));
    expect([broker.counts.redelivered, broker.counts.sent]).toEqual([0, 1]);
    members(member("c", ["other"]), member("d", ["other"]));
    expect([broker.counts.redelivered, broker.counts.sent]).toEqual([1, 1]);
    expect([...brief(take("c")), ...brief(take("d"))]).toEqual(["2 step 1/2 0.0"]);
  });

  test("a branch that is held here is never lost, no matter which processes are gone", () => {
    const { broker, members } = createBroker();
    members(A, B);
    broker.submit(step({ branch }));
    members();
    expect([broker.counts.redelivered, broker.counts.held]).toEqual([0, 1]);
  });

  test("after this host was given up, it repeats its acknowledgements at once", () => {
    const { broker, members, deliver, take } = createBroker();
    members(A);
    broker.submit(step({ rowId: "1", ...away }));
    deliver("a");
    broker.submit(step({ rowId: "2", ...away }));
    take("a");
    expect(take("a")).toBeNull();
    broker.repeat();
    expect(brief(take("a"))).toEqual(["1 step 1/1 0.0"]);
  });

  test("after this host was given up, it repeats its acknowledgements once more 10 s later", () => {
    const { broker, members, clock, deliver, take } = createBroker();
    members(A);
    broker.submit(step(away));
    // It was posted when this host came back, so it was not said again.
    const taken = take("a");
    broker.repeat();
    broker.delivered("a", taken ?? batch({}), { refused: [] });
    clock.now += 9_999;
    broker.tick();
    expect(take("a")).toBeNull();
    clock.now += 1;
    broker.tick();
    expect(brief(deliver("a"))).toEqual(["1 step 1/1 0.0"]);
    clock.now += 60_000;
    broker.tick();
    expect(take("a")).toBeNull();
  });

  test("after this host was given up, branches that do not come back in 10 s are sent out again", () => {
    const { broker, members, clock, deliver, take } = createBroker();
    members(A);
    broker.submit(step({ branch, rowId: "7", ...away }));
    broker.submit(step({ branch: { of: "self", id: 8 }, rowId: "8", ...away }));
    deliver("a");
    broker.repeat();
    deliver("a");
    broker.settle(task({ branch: { of: "self", id: 8 } }));
    clock.now += 9_999;
    broker.tick();
    expect(take("a")).toBeNull();
    clock.now += 1;
    broker.tick();
    // The copy of the settled branch is said once more, as any other.
    expect(brief(take("a"))).toEqual(["2 step 8/1 0.0", "3 step 7/2 0.0"]);
    clock.now += 60_000;
    broker.tick();
    expect(take("a")).toBeNull();
  });

  test("the end of a branch waits 10 s for a process that is not there, and is given up then", () => {
    const { broker, members, clock, receive, take } = createBroker();
    members(A, B);
    receive("a", parcel(3, step({ branch: { of: "b", id: 1 } })));
    members(A);
    broker.handOn(
      task({ branch: { of: "b", id: 1 } }),
      end({ hops: 1, branch: { of: "b", id: 1 } }),
    );
    expect(broker.counts.parked).toBe(1);
    clock.now += 10_000;
    broker.tick();
    expect([broker.counts.parked, take("a")]).toEqual([1, null]);
    clock.now += 1;
    broker.tick();
    expect([broker.idle, take("a")]).toEqual([true, batch({ released: [3] })]);
  });

  test("a message other than the end of a branch is parked without a time limit", () => {
    const { broker, members, clock } = createBroker();
    members();
    broker.submit(step(away));
    clock.now += 1e9;
    broker.tick();
    expect(broker.counts.parked).toBe(1);
  });
});

describe("the census", () => {
  test("a census finds messages that are held, sent or come later, with their latest attempts, until it ends", () => {
    const { broker, members, receive } = createBroker();
    members(A);
    receive("a", parcel(1, step({ rowId: "held", attempt: 2 })));
    broker.submit(step({ rowId: "sent", ...away }));
    broker.beginCensus(5);
    receive("a", parcel(2, step({ rowId: "later" })));
    receive("a", parcel(3, step({ rowId: "held", attempt: 3 })));
    broker.handOn(task({ rowId: "later" }), step({ rowId: "later", hops: 1, ...away }));
    broker.submit(step({ rowId: "branch", branch: { of: "self", id: 1 }, ...away }));
    const found = { "0:held": 3, "0:sent": 1, "0:later": 1 };
    expect(Object.fromEntries(broker.collectCensus(5) ?? [])).toEqual(found);
    receive("a", parcel(4, step({ rowId: "too late" })));
    expect(Object.fromEntries(broker.collectCensus(5) ?? [])).toEqual(found);
    expect(broker.collectCensus(6)).toBeNull();
  });
});

test("old positions are forgotten after a minute, so that custody does not grow with the run", () => {
  const { broker, members, clock, receive, delivered } = createBroker();
  members(A);
  const message = end();
  expect(positionOf(message)).toBe(1_999_999);
  receive("a", parcel(1, message));
  broker.complete(message);
  for (const [passed, count] of [
    [30_000, 1],
    [29_999, 1],
    [1, 2],
  ] as const) {
    clock.now += passed;
    broker.tick();
    receive("a", parcel(2, message));
    expect(delivered).toHaveLength(count);
  }
});

const TIMEOUT_MS = 60_000;
/** The time that peers have to end a task that is late. */
const LATE_MS = 25_000;

/** A broker with a time limit, its clock at the admission of every task, and the host `a`. */
function createTimed(options: Partial<BrokerOptions> = {}) {
  const accused: string[] = [];
  const timed = createBroker({
    taskTimeoutMs: TIMEOUT_MS,
    onOverdue: (host) => void accused.push(host),
    ...options,
  });
  const admittedAt = timed.clock.now;
  const stepOf = (rowId: string, role: string): Message => {
    const message = step({ rowId, role });
    return { ...message, task: { ...message.task, admittedAt } };
  };
  /** Lets the time pass to so many milliseconds after the admission, without a standstill. */
  const tickAt = (ms: number) => {
    for (; timed.clock.now < admittedAt + ms; timed.broker.tick())
      timed.clock.now = Math.min(timed.clock.now + 250, admittedAt + ms);
  };
  return { ...timed, accused, stepOf, tickAt };
}

test("a host that holds a task long beyond its time is told of, and its sender ends the task", () => {
  const { broker, members, stepOf, tickAt, deliver, take, accused, routing, clock } = createTimed();
  members(A);
  broker.submit(stepOf("1", "work"));
  deliver("a");
  tickAt(TIMEOUT_MS + LATE_MS - 1000);
  expect([accused, take("driver")]).toEqual([[], null]);
  tickAt(TIMEOUT_MS + LATE_MS + 1000);
  expect(accused).toEqual(["a"]);
  const [sent] = take("driver")?.parcels ?? [];
  expect(sent?.message).toMatchObject({
    kind: "end",
    task: { rowId: "1" },
    ending: {
      status: "failed",
      stopReason: "timeout",
      error: {
        code: "task_timeout",
        message: "the task took longer than 60000 ms (run.timeout): a held it and did not end it",
        role: "work",
        hop: 0,
      },
    },
  });
  expect(routing.isPassedOver("a", clock.now + 500_000)).toBe(true);
});

test("a step that no host takes ends when its time is over", () => {
  const { broker, members, stepOf, tickAt, take, accused } = createTimed();
  members();
  broker.submit(stepOf("1", "work"));
  tickAt(TIMEOUT_MS - 1000);
  expect(take("driver")).toBeNull();
  tickAt(TIMEOUT_MS + 1000);
  expect(take("driver")?.parcels[0]?.message).toMatchObject({
    ending: {
      error: {
        code: "task_timeout",
        message: "the task took longer than 60000 ms (run.timeout): no host took its next step",
      },
    },
  });
  expect([accused, broker.counts.parked]).toEqual([[], 0]);
});

test("a host is not late with a task that came to it late, and neither is one whose sender slept", () => {
  const { broker, clock, members, stepOf, tickAt, deliver, accused } = createTimed();
  members(A);
  broker.submit(stepOf("1", "work"));
  clock.now += TIMEOUT_MS + 2 * LATE_MS;
  broker.tick();
  expect(accused).toEqual([]);
  tickAt(TIMEOUT_MS + 2 * LATE_MS + 2000);
  broker.submit(stepOf("2", "work"));
  deliver("a");
  tickAt(TIMEOUT_MS + 3 * LATE_MS);
  expect(accused).toEqual([]);
  tickAt(TIMEOUT_MS + 3 * LATE_MS + 4000);
  expect(accused).toEqual(["a", "a"]);
});

test("a suspect that is late ends, and its host is not blamed, and an end is never late", () => {
  const { broker, members, stepOf, tickAt, deliver, take, accused } = createTimed();
  members(A);
  broker.submit(stepOf("1", "work"));
  deliver("a");
  members(B);
  deliver("b");
  broker.submit(end({ rowId: "2" }));
  deliver("driver");
  tickAt(TIMEOUT_MS + 2 * LATE_MS);
  expect(take("driver")?.parcels.map(({ message }) => message.task.rowId)).toEqual(["1"]);
  expect([accused, broker.counts.sent]).toEqual([[], 2]);
});
