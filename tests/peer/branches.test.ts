import { expect, test } from "bun:test";
import { Branches } from "../../src/peer/branches.ts";
import { end, step } from "./one-broker.ts";

const message = (id: number) => step({ branch: { of: "self", id } });
const members = (...ids: string[]) => new Set(ids);

test("a branch is waited for from when it is added until it is deleted", () => {
  const branches = new Branches();
  branches.add(message(1));
  expect([branches.has("@self:1"), branches.has("@self:2")]).toEqual([true, false]);
  branches.delete("@self:1");
  expect([branches.has("@self:1"), branches.restart("@self:1")]).toEqual([false, null]);
});

test("a branch may be lost once two processes are gone since it was sent out", () => {
  const branches = new Branches();
  branches.follow(members("a", "b", "c", "d"));
  branches.add(message(1));
  expect(branches.follow(members("a", "b", "c"))).toEqual([]);
  branches.add(message(2));
  expect(branches.follow(members("a", "b", "c", "e"))).toEqual([]);
  expect(branches.follow(members("a", "b", "e"))).toEqual(["@self:1"]);
  // It stays in doubt until it is sent out again.
  expect(branches.follow(members("a", "b", "e"))).toEqual(["@self:1"]);
  branches.restart("@self:1");
  expect(branches.follow(members("a", "b", "e"))).toEqual([]);
  expect(branches.follow(members("a", "b"))).toEqual(["@self:2"]);
});

test("two processes that go at once may have taken a branch with them", () => {
  const branches = new Branches();
  branches.follow(members("a", "b"));
  branches.add(message(1));
  expect(branches.follow(members())).toEqual(["@self:1"]);
});

test("a branch is sent out again as the attempt after its last", () => {
  const branches = new Branches();
  branches.add(message(1));
  expect([1, 2].map(() => branches.restart("@self:1")?.task.attempt)).toEqual([2, 3]);
  expect(branches.restart("@self:1")).toMatchObject({ kind: "step", task: { rowId: "1" } });
});

test("an end is no branch to be sent out", () => {
  const branches = new Branches();
  branches.add(end({ branch: { of: "self", id: 1 } }));
  expect(() => branches.restart("@self:1")).toThrow("bug: a branch was sent out as an end");
});

test("doubtful branches are those that waited when the doubt came, and are told of once, in time", () => {
  const branches = new Branches();
  expect(branches.takeDoubtful(1000)).toEqual([]);
  branches.add(message(1));
  branches.doubt(100);
  branches.add(message(2));
  expect(branches.takeDoubtful(99)).toEqual([]);
  expect(branches.takeDoubtful(100)).toEqual(["@self:1"]);
  expect(branches.takeDoubtful(101)).toEqual([]);
});
