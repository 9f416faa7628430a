import { expect, test } from "bun:test";
import { done, type RouteContext, to } from "matrix";
import { answer } from "./calculator.ts";
import makeRule, { numberIn } from "./rule.ts";

const rule = makeRule({ max_turns: 2 });
const after = (role: string) => ({ role, row: { answer: 89 } as object }) as RouteContext;
const call = (name: string, args: string) => ({
  id: "c1",
  type: "function" as const,
  function: { name, arguments: args },
});
const calling = { content: null, tool_calls: [call("add", "{}")] };

test("the solver and its tools take turns", () => {
  expect(rule.next({ turns: 0 }, calling, after("solver"))).toEqual(to("tools", { turns: 1 }));
  expect(rule.next({ turns: 1 }, [], after("tools"))).toEqual(to("solver", { turns: 1 }));
});

test("an answer without a call ends the task and is compared with the row's", () => {
  expect(rule.next({ turns: 1 }, { content: "89" }, after("solver"))).toEqual(
    done({ reason: "stopped", score: 1, outcome: { answer: 89, turns: 2 } }),
  );
  expect(rule.next({ turns: 1 }, { content: "88" }, after("solver"))).toMatchObject({ score: 0 });
});

test("a solver that only calls tools runs out of turns", () => {
  expect(rule.next({ turns: 1 }, calling, after("solver"))).toEqual(
    done({ reason: "max_turns", score: 0, outcome: { answer: null, turns: 2 } }),
  );
});

test("the last number of a text is the answer", () => {
  expect(numberIn("12 boxes hold -3.5")).toBe(-3.5);
  expect(numberIn("none")).toBeNull();
});

test("the calculator answers each call, and says what is wrong with one", () => {
  expect(answer(call("divide", '{"a": 240, "b": 3}'))).toBe("80");
  expect(answer(call("divide", '{"a": 1, "b": 0}'))).toBe("error: the result is not a number");
  expect(answer(call("power", "{}"))).toBe("error: there is no tool power");
  expect(answer(call("add", "{"))).toBe("error: the arguments are not JSON with a and b");
});
