import { expect, test } from "bun:test";
import { loadOf } from "../../src/peer/member.ts";
import { brief, createBroker, member, step } from "./one-broker.ts";

const HOST = member("a", ["work"]);
const SUCCESSOR = member("b", ["work"]);

test("a list becomes what a process routes by", () => {
  const { members, routing } = createBroker();
  members(HOST, SUCCESSOR);
  expect(routing.members.map(({ id }) => id)).toEqual(["driver", "self", "a", "b"]);
  members(SUCCESSOR);
  expect(routing.members.map(({ id }) => id)).toEqual(["driver", "self", "b"]);
});

test("a member that is gone without a word is lost with what it held, and one that left is not", () => {
  for (const [leaving, crashes] of [
    [false, "1.0"],
    [true, "0.0"],
  ] as const) {
    const process = createBroker();
    process.members(HOST);
    process.broker.submit(step({ role: "work" }));
    process.deliver("a");
    process.members({ ...HOST, leaving });
    process.members(SUCCESSOR);
    expect(brief(process.take("b"))).toEqual([`1 step 1/1 ${crashes}`]);
  }
});

test("the load of a host is told by role, as it is now", () => {
  const role = { name: "work", busy: 1, queued: 2, slots: 3, agent: {} };
  expect(loadOf([role])).toEqual({ work: { busy: 1, queued: 2, slots: 3 } });
  role.busy = 3;
  expect(loadOf([role, { name: "other", busy: 0, queued: 0, slots: 9 }])).toEqual({
    work: { busy: 3, queued: 2, slots: 3 },
    other: { busy: 0, queued: 0, slots: 9 },
  });
  expect(loadOf([])).toEqual({});
});
