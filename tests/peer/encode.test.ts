// Batches on the wire, as one process sends them and another receives them: what arrives is what
// was sent, and what the receiver has seen before is not sent again.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeAnswer, decodeBatch } from "../../src/peer/decode.ts";
import { destinationOf } from "../../src/peer/destination.ts";
import { encodeAnswer, encodeBatch } from "../../src/peer/encode.ts";
import { unpack } from "../../src/peer/msgpack.ts";
import { type Batch, keyOf, type Parcel } from "../../src/peer/parcel.ts";
import { keepSent, Store } from "../../src/peer/store.ts";
import { PARCEL } from "../../src/peer/wire-format.ts";
import { appendHop, EncodedTask, encodeTask, moveTask } from "../../src/task/encoded.ts";
import { ExactNumber } from "../../src/task/exact.ts";
import type { JsonObject } from "../../src/task/json.ts";
import type { Hop, Message, Task } from "../../src/task/task.ts";

const task: Task = {
  rowId: "вопрос-1\u2028😀",
  trial: 3,
  row: {
    question: "1 + 1 = ?\n",
    big: 9_007_199_254_740_991,
    tiny: 5e-324,
    float: 1.5,
    id: 1234567890123456789n,
    price: new ExactNumber("0.1000000000000000055"),
    nested: [null, true, { "": "" }],
  },
  seed: 123,
  attempt: 2,
  role: "teacher",
  state: { turn: 1, id: 2n ** 64n, __proto__x: "y" },
  history: [],
  admittedAt: 1000,
  trace: null,
};
const hop = (
  index: number,
  result: Hop["result"] = { role: "assistant", content: "x".repeat(600) },
): Hop => ({
  hop: index,
  role: "teacher",
  host: "h",
  at: "2026-01-01T00:00:00.000Z",
  queue_ms: 0.5,
  run_ms: 1.25,
  model: "m",
  usage: { requests: 1, prompt_tokens: 10, completion_tokens: 20 },
  cost: 0.125,
  result,
});
const parcel = (message: Message, seq = 1): Parcel => ({
  seq,
  message: { ...message, task: encodeTask(message.task) },
  crashes: 0,
  strikes: 0,
});
const batchOf = (...parcels: Parcel[]): Batch => ({
  parcels,
  released: [7, 8],
  starting: [[9, 1_000_004]],
});

/** A process with its store, its clock off by some amount. */
function createProcess(self: string, clock = 0) {
  const store = new Store(1_000_000);
  const send = (to: string, batch: Batch, whole = false) => {
    for (const parcel of batch.parcels) keepSent(store, self, parcel);
    const above = whole ? Number.POSITIVE_INFINITY : 512;
    return encodeBatch(batch, { self, to, above, now: 5000 + clock });
  };
  const receive = (body: Uint8Array) =>
    decodeBatch(body, (key, mark) => store.find(key, mark), 5000 + clock);
  return { store, send, receive };
}

function onlyTask(batch: Batch): EncodedTask {
  const task = batch.parcels[0]?.message.task;
  if (!(task instanceof EncodedTask)) throw new Error("no task came");
  return task;
}

const plain = ({ rowId, trial, row, seed, attempt, role, state, history, trace }: Task) => ({
  rowId,
  trial,
  row,
  seed,
  attempt,
  role,
  state,
  history,
  trace,
});

test("a batch arrives as it was sent, whatever its rows and results hold", () => {
  const [a, b] = [createProcess("a"), createProcess("b")];
  const details = { cached_tokens: 3, estimated_requests: 1, stated_cost: 0.0123 };
  const paid = {
    ...hop(0),
    usage: { requests: 1, prompt_tokens: 10, completion_tokens: 20, ...details },
  };
  const whole = { ...task, history: [paid, hop(1, { deep: [1, 1.5, "ü"] })] };
  const ending = {
    status: "ok",
    stopReason: "agreed",
    score: 0.5,
    outcome: { turns: 2 },
    error: null,
  } as const;
  const sent = batchOf(
    parcel({ kind: "step", task: whole }),
    parcel({ kind: "end", task: { ...whole, rowId: "2" }, ending }, 2),
  );
  const { batch, incomplete } = b.receive(a.send("b", sent));
  expect(incomplete).toEqual([]);
  expect([batch.released, batch.starting]).toEqual([[7, 8], [[9, 1_000_004]]]);
  expect(plain(batch.parcels[0]?.message.task as Task)).toEqual(plain(whole));
  const end = batch.parcels[1]?.message;
  expect(end?.kind === "end" ? end.ending : null).toEqual(ending);
  expect(onlyTask(batch).totals).toMatchObject({
    hops: 2,
    usage: { requests: 2, prompt_tokens: 20, completion_tokens: 40, ...details },
    cost: 0.25,
    models: ["m"],
  });
});

test("a batch carries the age of a task, so that hosts with clocks apart agree on it", () => {
  const [a, b] = [createProcess("a"), createProcess("b", 3_600_000)];
  const arrived = onlyTask(b.receive(a.send("b", batchOf(parcel({ kind: "step", task })))).batch);
  expect(5000 + 3_600_000 - arrived.admittedAt).toBe(4000);
});

test("a batch brings back to a host only what is new since the task left it", () => {
  const [a, b] = [createProcess("a"), createProcess("b")];
  let current: Task = { ...task, history: [hop(0)] };
  let before = 0;
  for (let turn = 1; turn <= 4; turn++) {
    const out = a.send("b", batchOf(parcel({ kind: "step", task: current })));
    const there = appendHop(onlyTask(b.receive(out).batch), hop(turn * 2 - 1));
    const back = b.send("a", batchOf(parcel({ kind: "step", task: there })));
    current = appendHop(onlyTask(a.receive(back).batch), hop(turn * 2));
    // Two hops of 800 bytes each at the most, however long the history is.
    if (turn > 1) expect(out.length).toBeLessThan(2400);
    expect(back.length).toBeLessThan(2400);
    expect(back.length).toBeGreaterThan(before === 0 ? 0 : 800);
    before = back.length;
  }
  expect(current.history).toEqual(Array.from({ length: 9 }, (_, index) => hop(index)));
  expect(current.row).toEqual(task.row);
});

test("a host that has let go of its part of a task asks for the whole, and is sent it", () => {
  const [a, b] = [createProcess("a"), createProcess("b")];
  const there = onlyTask(
    b.receive(a.send("b", batchOf(parcel({ kind: "step", task: { ...task, history: [hop(0)] } }))))
      .batch,
  );
  const back = batchOf(parcel({ kind: "step", task: appendHop(there, hop(1)) }, 41));
  a.store.forget("3:вопрос-1\u2028😀");
  expect(a.receive(b.send("a", back))).toEqual({
    batch: { parcels: [], released: [7, 8], starting: [[9, 1_000_004]] },
    incomplete: [41],
  });
  expect(onlyTask(a.receive(b.send("a", back, true)).batch).history).toEqual([hop(0), hop(1)]);
});

test("two executions of one hop are never mixed", () => {
  const [a, b, c] = [createProcess("a"), createProcess("b"), createProcess("c")];
  const start = onlyTask(a.receive(c.send("a", batchOf(parcel({ kind: "step", task })))).batch);
  // The same hop is done twice by a, with other words; b has seen the first, c brings back the
  // second.
  const first = appendHop(start, hop(0, "one"));
  const second = appendHop(start, hop(0, "two"));
  b.receive(a.send("b", batchOf(parcel({ kind: "step", task: first }))));
  const atC = onlyTask(
    c.receive(a.send("c", batchOf(parcel({ kind: "step", task: second })))).batch,
  );
  const home = a.receive(
    c.send(
      "a",
      batchOf(parcel({ kind: "step", task: appendHop(moveTask(atC, "b", null), hop(1)) })),
    ),
  );
  const result =
    home.incomplete.length > 0 ? null : onlyTask(home.batch).history.map(({ result }) => result);
  expect(result).toEqual(["two", hop(1).result]);
});

test("the bytes of older hops arrive as they were sent", () => {
  const bytes = new TextEncoder().encode(
    '{"hop":0,"role":"x","host":"h","at":"","queue_ms":1.0,"run_ms":1e2,"result":1.50}',
  );
  const odd = new EncodedTask(
    task,
    new TextEncoder().encode('{"n":1.0}'),
    bytes,
    encodeTask({ ...task, history: [hop(0)] }).totals,
    [],
    {},
  );
  const [a, b] = [createProcess("a"), createProcess("b")];
  const arrived = onlyTask(
    b.receive(a.send("b", batchOf(parcel({ kind: "step", task: odd })))).batch,
  );
  expect([new TextDecoder().decode(arrived.rowBytes), arrived.historyBytes]).toEqual([
    '{"n":1.0}',
    bytes,
  ]);
});

test("a branch travels under its own name, and says where its end belongs", () => {
  const branch = { of: "a", id: 7 };
  const ending = {
    status: "ok",
    stopReason: "completed",
    score: null,
    outcome: null,
    error: null,
  } as const;
  const { batch } = createProcess("b").receive(
    createProcess("a").send(
      "b",
      batchOf(
        parcel({ kind: "step", task: { ...task, branch, mayRepeat: true } }),
        parcel({ kind: "end", task: { ...task, branch }, ending }, 2),
      ),
    ),
  );
  const [step, end] = batch.parcels.map(({ message }) => message);
  if (step === undefined || end === undefined) throw new Error("not all arrived");
  expect([step, end].map(({ task }) => task.branch)).toEqual([branch, branch]);
  expect([step, end].map(({ task }) => task.mayRepeat)).toEqual([true, false]);
  expect([keyOf(step.task), destinationOf(step), destinationOf(end)]).toEqual([
    "@a:7",
    { kind: "role", role: task.role },
    { kind: "process", id: "a" },
  ]);
  expect(keyOf(task)).not.toBe(keyOf(step.task));
});

const text = fc.string({ unit: "grapheme" });
const amount = fc.double({ min: 0, max: 1e9, noNaN: true });
const anyHop: fc.Arbitrary<Hop> = fc.record({
  hop: fc.nat(),
  role: text,
  host: text,
  at: text,
  queue_ms: amount,
  run_ms: amount,
  model: text,
  usage: fc.record(
    {
      ...{ requests: fc.nat(), prompt_tokens: fc.nat(), completion_tokens: fc.nat() },
      ...{ cached_tokens: fc.nat(), cache_write_tokens: fc.nat(), reasoning_tokens: fc.nat() },
      ...{ estimated_requests: fc.nat(), stated_cost: amount },
    },
    { requiredKeys: ["requests", "prompt_tokens", "completion_tokens"] },
  ),
  cost: amount,
  result: fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value))),
});
const anyTask: fc.Arbitrary<Task> = fc
  .record({
    rowId: text,
    trial: fc.nat(),
    row: fc.dictionary(text, fc.jsonValue()).map((row) => JSON.parse(JSON.stringify(row))),
    seed: fc.nat(),
    attempt: fc.nat(),
    role: text,
    state: fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value))),
    history: fc.array(anyHop, { maxLength: 3 }),
    admittedAt: fc.integer(),
    trace: fc.option(text),
    branch: fc.option(
      fc.record(
        {
          of: text,
          id: fc.nat(),
          limit: fc.record({
            tokens: fc.option(fc.nat(), { nil: undefined }),
            cost: fc.option(amount, { nil: undefined }),
            calls: fc.option(fc.nat(), { nil: undefined }),
          }),
        },
        { requiredKeys: ["of", "id"] },
      ),
      { nil: undefined },
    ),
  })
  .map(({ branch, ...task }) => (branch === undefined ? task : { ...task, branch }));
const anyMessage: fc.Arbitrary<Message> = fc
  .tuple(anyTask, fc.constantFrom("step", "fork", "end"))
  .map(([task, kind]) =>
    kind === "end"
      ? {
          kind,
          task,
          ending: {
            status: "ok",
            stopReason: "agreed",
            score: 0.5,
            outcome: { a: 1 },
            error: null,
          },
        }
      : { kind: kind as "step", task },
  );

test("every field of every parcel arrives, whatever it holds", () => {
  const parcels = fc.array(fc.tuple(fc.nat(), anyMessage, fc.nat(), fc.nat()), { maxLength: 4 });
  const numbers = fc.array(fc.nat());
  const starting = fc.array(fc.tuple(fc.nat(), fc.nat()));
  fc.assert(
    fc.property(parcels, numbers, starting, (list, released, starting) => {
      const sent: Batch = {
        parcels: list.map(([seq, message, crashes, strikes]) => ({
          seq,
          message: { ...message, task: encodeTask(message.task).pinned("box", "host") },
          crashes,
          strikes,
        })),
        released,
        starting,
      };
      const [a, b] = [createProcess("a"), createProcess("b")];
      const { batch, incomplete } = b.receive(a.send("b", sent, true));
      const seen = ({ seq, message, crashes, strikes }: Parcel) => {
        const { kind, task } = message;
        const { totals, pins, branch, admittedAt } = task as EncodedTask;
        const ending = message.kind === "end" ? message.ending : null;
        return {
          seq,
          crashes,
          strikes,
          kind,
          ...plain(task),
          totals,
          pins,
          branch,
          admittedAt,
          ending,
        };
      };
      expect(batch.parcels.map(seen)).toEqual(sent.parcels.map(seen));
      expect([batch.released, batch.starting, incomplete]).toEqual([released, starting, []]);
    }),
    { numRuns: 200 },
  );
});

/** The fields of the only parcel of a body. */
function fieldsOf(body: Uint8Array): readonly unknown[] {
  const [parcels] = unpack(body) as [unknown[][]];
  return parcels[0] ?? [];
}

test("what the receiver has seen is left out when that saves more than the limit, and not at the limit", () => {
  const row = new TextEncoder().encode('{"n":1}');
  const history = new TextEncoder().encode(JSON.stringify(hop(0)));
  const { totals } = encodeTask({ ...task, history: [hop(0)] });
  const marks = [
    { host: "a", id: 5, bytes: 10 },
    { host: "b", id: 6, bytes: 20 },
  ];
  const known = new EncodedTask(task, row, history, totals, marks, {});
  const encoded = (above: number, to = "b") =>
    fieldsOf(
      encodeBatch(batchOf(parcel({ kind: "step", task: known })), { self: "a", to, above, now: 0 }),
    );
  // The row of 7 bytes and 20 of the history.
  expect(encoded(26)[PARCEL.since]).toBe(6);
  expect([encoded(26)[PARCEL.row], encoded(26)[PARCEL.history]]).toEqual([
    Buffer.alloc(0),
    Buffer.from(history.subarray(20)),
  ]);
  expect([encoded(27)[PARCEL.since], encoded(26, "c")[PARCEL.since]]).toEqual([null, null]);
  expect(encoded(27)[PARCEL.row]).toEqual(Buffer.from(row));
  expect(encoded(27)[PARCEL.history]).toEqual(Buffer.from(history));
  // The mark of the sender is renewed, and those of others stay.
  expect(encoded(0)[PARCEL.trail]).toEqual([
    ["b", 6, 20],
    ["a", expect.any(Number), history.length],
  ]);
});

test("encoding changes nothing: the same batch gives the same bytes, and the task keeps what it parsed", () => {
  const sent = batchOf(parcel({ kind: "step", task: { ...task, history: [hop(0)] } }));
  const { task: sentTask } = sent.parcels[0]?.message ?? {};
  const row = sentTask?.row;
  const encode = () => encodeBatch(sent, { self: "a", to: "b", above: 0, now: 5000 });
  expect(Buffer.compare(encode(), encode())).toBe(0);
  expect(sentTask?.row).toBe(row as JsonObject);
});

test("a task whose sender's clock went back arrives with an age below zero", () => {
  const late = { ...task, admittedAt: 6000 };
  const [a, b] = [createProcess("a"), createProcess("b")];
  const { batch } = b.receive(a.send("b", batchOf(parcel({ kind: "step", task: late }))));
  expect(onlyTask(batch).admittedAt).toBe(6000);
});

test("an answer arrives as it was given, and so does that of a receiver that does not know the sender", () => {
  // MessagePack renames the key "__proto__", which a recipe refuses as the name of a role.
  const role = text.filter((name) => name !== "__proto__");
  const anyLoad = fc.dictionary(
    role,
    fc.record({ busy: fc.nat(), queued: fc.nat(), slots: fc.nat() }),
  );
  const numbers = fc.array(fc.nat());
  fc.assert(
    fc.property(numbers, numbers, anyLoad, (refused, incomplete, load) => {
      const answer = { refused, incomplete, load };
      expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
    }),
  );
  expect(decodeAnswer(encodeAnswer(null))).toBeNull();
});

test("a load under the name __proto__ arrives under another name, and changes no prototype", () => {
  const load = Object.fromEntries([["__proto__", { busy: 1, queued: 2, slots: 3 }]]);
  const answer = decodeAnswer(encodeAnswer({ refused: [], incomplete: [], load }));
  expect(Object.keys(answer?.load ?? {})).toEqual(["__proto_"]);
  expect(Object.getPrototypeOf(answer?.load ?? {})).toBe(Object.prototype);
});
