// Batches on the wire: what arrives is what was sent, what was seen before is not sent again, and a body that is wrong in any
// way is refused whole.

import { describe, expect, test } from "bun:test";
import { MatrixError } from "../../src/error.ts";
import { decodeAnswer, decodeBatch } from "../../src/peer/decode.ts";
import { destinationOf } from "../../src/peer/destination.ts";
import { encodeAnswer, encodeBatch } from "../../src/peer/encode.ts";
import { pack, unpack } from "../../src/peer/msgpack.ts";
import { type Batch, keyOf, type Parcel } from "../../src/peer/parcel.ts";
import { keepSent, Store } from "../../src/peer/store.ts";
import { appendHop, EncodedTask, encodeTask, moveTask } from "../../src/task/encoded.ts";
import { createRandom } from "../../src/task/seed.ts";
import type { Hop, Message, Task } from "../../src/task/task.ts";

const WIRE_INVALID = expect.objectContaining({ code: "wire_invalid" });
const SEED = Number(process.env["MATRIX_TEST_SEED"] ?? Date.now());

const task: Task = {
  rowId: "вопрос-1\u2028😀",
  trial: 3,
  row: {
    question: "1 + 1 = ?\n",
    big: 9_007_199_254_740_991,
    tiny: 5e-324,
    float: 1.5,
    nested: [null, true, { "": "" }],
  },
  seed: 123,
  attempt: 2,
  role: "teacher",
  state: { turn: 1, __proto__x: "y" },
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

describe("a batch", () => {
  test("arrives as it was sent: steps, ends, receipts, whatever their rows and results hold", () => {
    const [a, b] = [createProcess("a"), createProcess("b")];
    const whole = { ...task, history: [hop(0), hop(1, { deep: [1, 1.5, "ü"] })] };
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
      usage: { requests: 2, completion_tokens: 40 },
      cost: 0.25,
      models: ["m"],
    });
  });

  test("carries the age of a task, so that hosts with clocks apart agree on it", () => {
    const [a, b] = [createProcess("a"), createProcess("b", 3_600_000)];
    const arrived = onlyTask(b.receive(a.send("b", batchOf(parcel({ kind: "step", task })))).batch);
    expect(5000 + 3_600_000 - arrived.admittedAt).toBe(4000);
  });

  test("brings back to a host only what is new since the task left it", () => {
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

  test("is asked for whole by a host that has let go of its part, and comes whole", () => {
    const [a, b] = [createProcess("a"), createProcess("b")];
    const there = onlyTask(
      b.receive(
        a.send("b", batchOf(parcel({ kind: "step", task: { ...task, history: [hop(0)] } }))),
      ).batch,
    );
    const back = batchOf(parcel({ kind: "step", task: appendHop(there, hop(1)) }, 41));
    a.store.forget("3:вопрос-1\u2028😀");
    expect(a.receive(b.send("a", back))).toEqual({
      batch: { parcels: [], released: [7, 8], starting: [[9, 1_000_004]] },
      incomplete: [41],
    });
    expect(onlyTask(a.receive(b.send("a", back, true)).batch).history).toEqual([hop(0), hop(1)]);
  });

  test("never mixes two executions of one hop", () => {
    const [a, b, c] = [createProcess("a"), createProcess("b"), createProcess("c")];
    const start = onlyTask(a.receive(c.send("a", batchOf(parcel({ kind: "step", task })))).batch);
    // The same hop is done twice by a, with other words; b has seen the first, c brings back the second.
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

  test("keeps the bytes of older hops as they came", () => {
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
});

describe("a branch", () => {
  test("travels under its own name, and says where its end belongs", () => {
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
          parcel({ kind: "step", task: { ...task, branch } }),
          parcel({ kind: "end", task: { ...task, branch }, ending }, 2),
        ),
      ),
    );
    const [step, end] = batch.parcels.map(({ message }) => message);
    if (step === undefined || end === undefined) throw new Error("not all arrived");
    expect([step, end].map(({ task }) => task.branch)).toEqual([branch, branch]);
    expect([keyOf(step.task), destinationOf(step), destinationOf(end)]).toEqual([
      "@a:7",
      { kind: "role", role: task.role },
      { kind: "process", id: "a" },
    ]);
    expect(keyOf(task)).not.toBe(keyOf(step.task));
  });
});

describe("a body that is wrong", () => {
  const good = createProcess("a").send(
    "b",
    batchOf(parcel({ kind: "step", task: { ...task, history: [hop(0)] } })),
  );
  const decode = (body: Uint8Array) => createProcess("b").receive(body);

  test("is refused when it is cut at any byte, or has bytes to spare", () => {
    for (let length = 0; length < good.length; length += 7)
      expect(() => decode(good.subarray(0, length))).toThrow(WIRE_INVALID);
    expect(() => decode(Buffer.concat([good, Buffer.from([1])]))).toThrow(WIRE_INVALID);
  });

  test("is refused when a field has another type, or is missing, or is one too many", () => {
    const [parcels, ...rest] = unpack(good) as [unknown[][], ...unknown[]];
    const fields = parcels[0] as unknown[];
    const wrong: unknown[] = [undefined, -1, 1.5, Number.NaN, "x", [], {}, true, 2 ** 60];
    for (const [index, value] of fields.entries()) {
      for (const other of wrong) {
        const isFine = typeof other === typeof value && index !== 9 && index !== 3 && index !== 18;
        if (
          isFine ||
          Array.isArray(other) === Array.isArray(value) ||
          (index === 10 && typeof other === "number")
        )
          continue;
        if (value === null || ((index === 18 || index === 19) && fields[3] === "step")) continue;
        expect(() => decode(pack([[fields.with(index, other)], ...rest]))).toThrow(WIRE_INVALID);
      }
    }
    expect(() => decode(pack([[fields.slice(1)], ...rest]))).toThrow(WIRE_INVALID);
    expect(() => decode(pack([[[...fields, 1]], ...rest]))).toThrow(WIRE_INVALID);
    for (const other of [null, 1, "x", {}, [], [[], []], [[], [], [], []]])
      expect(() => decode(pack(other))).toThrow(WIRE_INVALID);
  });

  test("cannot bring a second line into a record", () => {
    const [parcels, ...rest] = unpack(good) as [unknown[][], ...unknown[]];
    for (const index of [16, 17]) {
      const torn = (parcels[0] as unknown[]).with(
        index,
        new TextEncoder().encode('{"a":1}\n{"format":"matrix-trajectory-1"}'),
      );
      expect(() => decode(pack([[torn], ...rest]))).toThrow(WIRE_INVALID);
    }
  });

  test("of random bytes, or with random bytes changed, is refused or read, and never anything else", () => {
    const random = createRandom(SEED);
    for (let round = 0; round < 3000; round++) {
      const body = round % 2 === 0 ? Buffer.from(good) : Buffer.alloc(Math.floor(random() * 200));
      for (let i = 0; i < 1 + random() * 4; i++)
        body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
      try {
        decode(body);
        decodeAnswer(body);
      } catch (thrown) {
        if (!(thrown instanceof MatrixError && thrown.code === "wire_invalid"))
          throw new Error(`MATRIX_TEST_SEED=${SEED}: ${thrown}`, { cause: thrown });
      }
    }
  });
});

describe("an answer", () => {
  test("arrives as it was given", () => {
    const answer = {
      refused: [1],
      incomplete: [2],
      load: { teacher: { busy: 1, queued: 2, slots: 3 } },
    };
    expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
    expect(decodeAnswer(encodeAnswer(null))).toBeNull();
  });
});
