import { expect, test } from "bun:test";
import { keepSent, Store } from "../../src/peer/store.ts";
import { encodeTask } from "../../src/task/encoded.ts";
import { end, parcel, step, task } from "./one-broker.ts";

/** The bytes that an entry takes beside its content. */
const ENTRY_BYTES = 300;

const known = (mark: number, bytes: number) => ({
  mark,
  row: new Uint8Array(0),
  history: new Uint8Array(bytes),
});

test("a store knows a task up to its latest mark and to no other", () => {
  const store = new Store(10_000);
  store.keep("0:a", known(1, 10));
  store.keep("0:a", known(2, 20));
  expect(store.find("0:a", 1)).toBeNull();
  expect(store.find("0:a", 2)?.history).toHaveLength(20);
  expect(store.find("0:b", 2)).toBeNull();
});

test("a store counts rows, histories and what an entry takes beside them", () => {
  const store = new Store(10_000);
  store.keep("a", { mark: 1, row: new Uint8Array(7), history: new Uint8Array(20) });
  expect(store.bytes).toBe(27 + ENTRY_BYTES);
  store.keep("b", known(1, 5));
  expect(store.bytes).toBe(32 + 2 * ENTRY_BYTES);
  store.keep("a", known(2, 1));
  expect(store.bytes).toBe(6 + 2 * ENTRY_BYTES);
  store.forget("a");
  store.forget("a");
  expect([store.bytes, store.find("a", 2)]).toEqual([5 + ENTRY_BYTES, null]);
});

test("a store that has too much lets go of what was kept the longest, down to its limit", () => {
  const store = new Store(3 * (500 + ENTRY_BYTES));
  for (const [index, key] of ["a", "b", "c"].entries()) store.keep(key, known(index, 500));
  expect([store.find("a", 0)?.mark, store.bytes]).toEqual([0, 3 * (500 + ENTRY_BYTES)]);
  store.keep("a", known(9, 500));
  store.keep("d", known(4, 501));
  expect([store.find("b", 1), store.find("c", 2)]).toEqual([null, null]);
  expect([store.find("a", 9)?.mark, store.find("d", 4)?.mark]).toEqual([9, 4]);
});

test("a store keeps nothing that is larger than itself", () => {
  const store = new Store(100);
  store.keep("a", known(1, 5000));
  expect([store.bytes, store.find("a", 1)]).toEqual([0, null]);
});

test("a task that is sent is kept with its row and history at the sender's mark", () => {
  const store = new Store(10_000);
  const sent = encodeTask({ ...task({ rowId: "x", hops: 1 }), row: { n: 1 } });
  keepSent(store, "self", parcel(1, { kind: "step", task: sent }));
  const mark = sent.markOf("self").id;
  expect(store.find("0:x", mark)).toEqual({ mark, row: sent.rowBytes, history: sent.historyBytes });
});

test("an end that is sent is let go of, since it does not come back", () => {
  const store = new Store(10_000);
  store.keep("0:x", known(1, 10));
  const { task: ended, ...rest } = end({ rowId: "x" });
  keepSent(store, "self", parcel(1, { ...rest, task: encodeTask(ended) }));
  expect(store.bytes).toBe(0);
});

test("a task that is not encoded is not kept, for it has no lasting mark", () => {
  const store = new Store(10_000);
  keepSent(store, "self", parcel(1, step({ rowId: "x" })));
  expect(store.bytes).toBe(0);
});
