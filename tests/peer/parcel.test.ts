import { expect, test } from "bun:test";
import fc from "fast-check";
import { destinationOf } from "../../src/peer/destination.ts";
import { attemptOf, keyOf, parseKey, positionOf, positionOfStep } from "../../src/peer/parcel.ts";
import { end, fork, step, task } from "./one-broker.ts";

test("a key names row and trial of a task, and process and number of a branch", () => {
  expect(keyOf({ rowId: "a:b", trial: 3 })).toBe("3:a:b");
  expect(keyOf({ rowId: "a", trial: 3, branch: { of: "host", id: 7 } })).toBe("@host:7");
});

test("a key of a task can be read back, whatever its row is called", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), (rowId, trial) => {
      expect(parseKey(keyOf({ rowId, trial }))).toEqual({ rowId, trial });
    }),
  );
});

test("a task's key is never that of a branch", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), fc.string(), fc.nat(), (rowId, trial, of, id) => {
      expect(keyOf({ rowId, trial })).not.toBe(keyOf({ rowId, trial, branch: { of, id } }));
    }),
  );
});

test("positions grow with hops and attempts, and an end comes after every hop of its attempt", () => {
  const life = [
    step(),
    step({ hops: 1 }),
    fork({ hops: 2 }),
    step({ hops: 999_998 }),
    end({ hops: 3 }),
    step({ attempt: 2 }),
    end({ attempt: 2 }),
  ].map(positionOf);
  expect(life).toEqual([
    1_000_000, 1_000_001, 1_000_002, 1_999_998, 1_999_999, 2_000_000, 2_999_999,
  ]);
  expect(life.map(attemptOf)).toEqual([1, 1, 1, 1, 1, 2, 2]);
  expect(positionOfStep(task({ hops: 4, attempt: 3 }))).toBe(3_000_004);
});

test("a message goes to its role, to any host, to the sink, or to the process that waits for it", () => {
  const branch = { of: "host", id: 7 };
  expect(destinationOf(step({ role: "a" }))).toEqual({ kind: "role", role: "a" });
  expect(destinationOf(step({ role: "a", branch }))).toEqual({ kind: "role", role: "a" });
  expect(destinationOf(fork())).toEqual({ kind: "any host" });
  expect(destinationOf(end())).toEqual({ kind: "sink" });
  expect(destinationOf(end({ branch }))).toEqual({ kind: "process", id: "host" });
});
