import { expect, test } from "bun:test";
import { done, type RouteContext, to } from "matrix";
import makeRule from "./rule.ts";
import { scoreOf } from "./score.ts";

const rule = makeRule({ n: 2, enough: 0.9 });
const after = (role: string) => ({ role }) as RouteContext;
const good = { draft: "good", score: 0.5 };
const bad = { draft: "bad", score: 0.1 };

test("every draft is scored", () => {
  expect(rule.next({ drafts: 0, best: null }, null, after("writer"))).toEqual(
    to("scorer", { drafts: 1, best: null }),
  );
});

test("another draft is written until one is good enough", () => {
  expect(rule.next({ drafts: 1, best: null }, good, after("scorer"))).toEqual(
    to("writer", { drafts: 1, best: good }),
  );
  const enough = { draft: "best", score: 0.9 };
  expect(rule.next({ drafts: 1, best: null }, enough, after("scorer"))).toEqual(
    done({ score: 0.9, outcome: { ...enough, drafts: 1 } }),
  );
});

test("the best draft is the outcome, not the last one", () => {
  expect(rule.next({ drafts: 2, best: good }, bad, after("scorer"))).toEqual(
    done({ score: 0.5, outcome: { ...good, drafts: 2 } }),
  );
});

test("a draft with the wanted number of words scores 1", () => {
  expect(scoreOf("one two", 2)).toBe(1);
  expect(scoreOf("one two three", 2)).toBe(0.5);
  expect(scoreOf("", 2)).toBe(0);
});
