import { expect, test } from "bun:test";
import { done, type RouteContext, to } from "matrix";
import { grade } from "./grade.ts";
import makeRule from "./rule.ts";

const rule = makeRule({ max_turns: 2 });
const after = (role: string) => ({ role }) as RouteContext;
const says = (content: string) => ({ role: "assistant", content });

test("the customer and the assistant take turns", () => {
  expect(rule.next({ turns: 0 }, says("Hello?"), after("customer"))).toEqual(
    to("assistant", { turns: 0 }),
  );
  expect(rule.next({ turns: 0 }, says("Hi."), after("assistant"))).toEqual(
    to("customer", { turns: 1 }),
  );
});

test("the conversation is graded when the customer is done or has no turn left", () => {
  expect(rule.next({ turns: 1 }, says("DONE"), after("customer"))).toEqual(
    to("grader", { turns: 1 }),
  );
  expect(rule.next({ turns: 2 }, says("And?"), after("customer"))).toEqual(
    to("grader", { turns: 2 }),
  );
});

test("the grade ends the task", () => {
  const graded = { done: true, turns: 2, score: 0.5 };
  expect(rule.next({ turns: 2 }, graded, after("grader"))).toEqual(
    done({ reason: "agreed", score: 0.5, outcome: graded }),
  );
});

test("fewer turns are a better grade", () => {
  const history = [
    { role: "customer", result: says("Hello?") },
    { role: "assistant", result: says("Hi.") },
    { role: "customer", result: says("DONE") },
  ];
  expect(grade(history)).toEqual({ done: true, turns: 1, score: 1 });
  expect(grade(history.slice(0, 2))).toEqual({ done: false, turns: 1, score: 0 });
});
