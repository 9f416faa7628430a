import { expect, test } from "bun:test";
import { done, fork, to } from "../../src/orchestrator/contract.ts";
import { problemOf } from "../../src/orchestrator/decision.ts";

const WAYS = { roles: new Set(["a", "b"]), canJoin: true, isBranch: false };

test.each([
  ["done()", done()],
  ["to a role", to("b", 1)],
  ["done() with a score and an outcome", done({ reason: "cut", score: 0.5, outcome: { n: 1 } })],
  ["done() with a score of true", { ...done(), score: true }],
  ["an end without score and outcome", { done: "agreed" }],
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
  [{ fork: ["a", "b"], state: null }, `has a branch "a" that to(role, state) did not make`],
  [{ fork: [to("a"), null], state: null }, "has a branch null that to(role, state) did not make"],
  [
    fork([fork([to("a")], 0) as never], null),
    'has a branch {"fork":[{"to":"a","state":null}],"state":0} that to(role, state) did not make',
  ],
  [{ fork: [to("a"), { to: 3 }], state: null }, `has a branch to 3, ${ROLES}`],
])("the decision %j after a role is refused", (decided, problem) => {
  expect(problemOf(decided, "a", WAYS)).toBe(`next() after a ${problem}`);
});

const REASONS =
  "completed, agreed, max_turns, filtered, stopped, context_length, refused, content_filtered, cut";
const SCORE = "a score is a number, true, false or null";
const OUTCOME = "an outcome is an object or null, so name the value, as in { answer: … }";

test.each<[reason: string, score: unknown, outcome: unknown, problem: string]>([
  ["agred", 1, null, `ends the task as "agred"; allowed: ${REASONS}`],
  ["lost", null, null, `ends the task as "lost"; allowed: ${REASONS}`],
  ["completed", "7", null, `gives the score "7"; ${SCORE}`],
  ["completed", [1], null, `gives the score [1]; ${SCORE}`],
  ["completed", Number.NaN, null, `gives the score NaN; ${SCORE}`],
  ["completed", 1, "Paris", `gives the outcome "Paris"; ${OUTCOME}`],
  ["completed", 1, [1, 2], `gives the outcome [1,2]; ${OUTCOME}`],
  ["completed", 1, "x".repeat(99), `gives the outcome "${"x".repeat(79)}…; ${OUTCOME}`],
])(
  "an end as %s with the score %j and the outcome %j is refused",
  (reason, score, outcome, problem) => {
    const decided = { done: reason, score, outcome };
    expect(problemOf(decided, "a", WAYS)).toBe(`next() after a ${problem}`);
  },
);

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
