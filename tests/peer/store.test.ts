import { describe, expect, test } from "bun:test";
import { Store } from "../../src/peer/store.ts";

const known = (mark: number, bytes: number) => ({
  mark,
  row: new Uint8Array(0),
  history: new Uint8Array(bytes),
});

describe("the store", () => {
  test("knows a task up to its latest mark and no other", () => {
    const store = new Store(10_000);
    store.keep("0:a", known(1, 10));
    store.keep("0:a", known(2, 20));
    expect(store.find("0:a", 1)).toBeNull();
    expect(store.find("0:a", 2)?.history).toHaveLength(20);
    expect(store.find("0:b", 2)).toBeNull();
  });

  test("lets go of what was untouched the longest when it has too much, and of all when asked", () => {
    const store = new Store(2500);
    for (const [index, task] of ["a", "b", "c"].entries()) store.keep(task, known(index, 500));
    store.keep("a", known(9, 500));
    store.keep("d", known(4, 500));
    expect([store.find("b", 1), store.find("a", 9)?.mark, store.find("d", 4)?.mark]).toEqual([
      null,
      9,
      4,
    ]);
    for (const task of ["a", "c", "d"]) store.forget(task);
    expect(store.bytes).toBe(0);
  });

  test("keeps nothing that is larger than itself", () => {
    const store = new Store(100);
    store.keep("a", known(1, 5000));
    expect([store.bytes, store.find("a", 1)]).toEqual([0, null]);
  });
});
