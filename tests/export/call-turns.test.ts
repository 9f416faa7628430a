import { expect, test } from "bun:test";
import { thinkText, withResultsInOrder } from "../../src/export/call-turns.ts";
import { assistant, CALL, tool, user } from "./made.ts";

const calling = (...ids: readonly string[]) =>
  assistant(null, { tool_calls: ids.map((id) => ({ ...CALL, id })) });
const result = (id: string) => ({ ...tool(`result of ${id}`), tool_call_id: id });

test("results stand in the order of their calls, turn by turn", () => {
  const turns = [
    user("q"),
    calling("a", "b", "c"),
    result("c"),
    result("a"),
    result("b"),
    calling("b", "a"),
    result("a"),
    result("b"),
    assistant("x"),
  ];
  expect(withResultsInOrder(turns)).toEqual([
    user("q"),
    calling("a", "b", "c"),
    result("a"),
    result("b"),
    result("c"),
    calling("b", "a"),
    result("b"),
    result("a"),
    assistant("x"),
  ]);
});

test("results that answer no call of the turn stay after those that do, in their order", () => {
  const turns = [result("z"), calling("a"), result("y"), result("x"), result("a")];
  expect(withResultsInOrder(turns)).toEqual([
    result("z"),
    calling("a"),
    result("a"),
    result("y"),
    result("x"),
  ]);
});

test("reasoning is text between tags, and nothing without any", () => {
  expect(thinkText(assistant("x", { reasoning_content: "r" }))).toBe("<think>\nr\n</think>\n\n");
  expect(thinkText(assistant("x"))).toBe("");
});
