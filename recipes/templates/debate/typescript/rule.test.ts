import { expect, test } from "bun:test";
import { done, type RouteContext, to } from "matrix";
import makeRule from "./rule.ts";
import { verdictOf } from "./verdict.ts";

const rule = makeRule({ max_turns: 2 });
const after = (role: string) => ({ role }) as RouteContext;

test("both sides take turns, and then the judge decides", () => {
  expect(rule.next({ turns: 0 }, null, after("pro"))).toEqual(to("con", { turns: 1 }));
  expect(rule.next({ turns: 1 }, null, after("con"))).toEqual(to("judge", { turns: 2 }));
  expect(rule.next({ turns: 2 }, null, after("judge"))).toEqual(to("verdict", { turns: 2 }));
});

test("the verdict ends the task", () => {
  const verdict = verdictOf({ pro: 8, con: 5 });
  expect(rule.next({ turns: 2 }, verdict, after("verdict"))).toEqual(
    done({ score: 3 / 9, outcome: verdict }),
  );
});

test("equal points have no winner", () => {
  expect(verdictOf({ pro: 1, con: 10 })).toEqual({ winner: "con", score: 1 });
  expect(verdictOf({ pro: 4, con: 4 })).toEqual({ winner: null, score: 0 });
});
