import { expect, test } from "bun:test";
import { done, fork, to } from "../../src/orchestrator/contract.ts";
import { problemOf } from "../../src/orchestrator/decision.ts";

const WAYS = { roles: new Set(["a", "b"]), canJoin: true, isBranch: false };

test.each([
  ["done()", done()],
  ["to a role", to("b", 1)],
  ["a fork into roles", fork([to("a"), to("b")], 0)],
])("%s is a sound decision", (_, decided) => {
  expect(problemOf(decided, "a", WAYS)).toBeNull();
});

const ROLES = "which is not a role of the recipe; roles: a, b";

test.each<[decided: unknown, problem: string]>([
  [undefined, "returned undefined; it must return to(role, state), fork() or done()"],
  [null, "returned null; it must return to(role, state), fork() or done()"],
  ["b", "returned b; it must return to(role, state), fork() or done()"],
  [Promise.resolve(done()), "returned a promise; a rule must be pure and answer at once"],
  [{ goto: "b" }, "returned an object that to(role, state), fork() or done() did not make"],
  [{ to: 3 }, "returned an object that to(role, state), fork() or done() did not make"],
  [{ done: true }, "returned an object that to(role, state), fork() or done() did not make"],
  [to("c"), `routes to "c", ${ROLES}`],
  [{ fork: "a" }, "forks into no branches"],
  [fork([], null), "forks into no branches"],
  [fork([to("a"), to("c")], null), `has a branch to "c", ${ROLES}`],
  [{ fork: [to("a"), { to: 3 }], state: null }, `has a branch to 3, ${ROLES}`],
])("the decision %j after a role is refused", (decided, problem) => {
  expect(problemOf(decided, "a", WAYS)).toBe(`next() after a ${problem}`);
});

test("a decision at the start of a task is told as one of start()", () => {
  expect(problemOf(null, null, WAYS)).toStartWith("start() returned null");
});

test("a branch cannot fork again", () => {
  expect(problemOf(fork([to("a")], null), "a", { ...WAYS, isBranch: true })).toBe(
    "next() after a forks in a branch, and a branch cannot fork again",
  );
});

test("an orchestrator without join() cannot fork", () => {
  expect(problemOf(fork([to("a")], null), null, { ...WAYS, canJoin: false })).toBe(
    "start() forks, but the orchestrator has no join()",
  );
});
