// Ids of tool calls: the same id never stands for two calls of a task.

import { expect, test } from "bun:test";
import { withOwnCallIds } from "../../src/agent/call-ids.ts";
import type { ChatAnswer, ChatMessage } from "../../src/model/contract.ts";
import type { Json } from "../../src/task/json.ts";
import type { Hop } from "../../src/task/task.ts";

const call = (id: string) => ({
  id,
  type: "function" as const,
  function: { name: "f", arguments: "{}" },
});
const answer = (...tool_calls: readonly Json[]): ChatAnswer => ({
  message: { role: "assistant", content: null, tool_calls: [...tool_calls] },
  finishReason: "tool_calls",
  usage: { requests: 1, prompt_tokens: 0, completion_tokens: 0 },
});
const asked = (...ids: readonly string[]): ChatMessage => ({
  role: "assistant",
  content: null,
  tool_calls: ids.map(call),
});
const hop = (result: Json) => ({ result }) as Hop;
const idsOf = (
  answered: ChatAnswer,
  messages: readonly ChatMessage[] = [],
  history: readonly Hop[] = [],
) => {
  const { tool_calls } = withOwnCallIds(answered, messages, history).message;
  return (tool_calls as { id: string }[]).map(({ id }) => id);
};

test("ids that are new stay, and an answer without calls is not touched", () => {
  expect(idsOf(answer(call("call_0"), call("x")), [asked("y")])).toEqual(["call_0", "x"]);
  const plain = { ...answer(), message: { role: "assistant" as const, content: "x" } };
  expect(withOwnCallIds(plain, [asked("y")], [])).toBe(plain);
});

test("an id of the conversation, of the history or of the answer itself is counted up", () => {
  expect(idsOf(answer(call("call_0")), [asked("call_0")])).toEqual(["call_1"]);
  expect(idsOf(answer(call("call_0")), [], [hop(asked("call_0") as never)])).toEqual(["call_1"]);
  expect(idsOf(answer(call("call_0"), call("call_0")))).toEqual(["call_0", "call_1"]);
  expect(idsOf(answer(call("call_0"), call("call_1")), [asked("call_0")])).toEqual([
    "call_1",
    "call_2",
  ]);
});

test("an empty id becomes one, and another one beside it", () => {
  expect(idsOf(answer(call(""), call("")))).toEqual(["call_0", "call_1"]);
  expect(idsOf(answer(call("")), [asked("call_0")])).toEqual(["call_1"]);
});

test("a number keeps its width, and an id without a number gets one", () => {
  for (const [id, next] of [
    ["functions.f:0", "functions.f:1"],
    ["abcdefg01", "abcdefg02"],
    ["call_09", "call_10"],
    ["call_9", "call_10"],
    ["abc", "abc_2"],
    ["x12345678901234567890", "x12345678901234567891"],
  ] as const)
    expect(idsOf(answer(call(id)), [asked(id)])).toEqual([next]);
  expect(idsOf(answer(call("abc")), [asked("abc", "abc_2")])).toEqual(["abc_3"]);
});

test("results and messages of other shapes are passed over", () => {
  const history = [
    hop(null),
    hop("x"),
    hop([]),
    hop({ tool_calls: "x" }),
    hop({ tool_calls: [5] }),
  ];
  expect(idsOf(answer(call("a")), [{ role: "user", content: "a" }], history)).toEqual(["a"]);
  const odd = answer("x", { id: 5 }, call("a"));
  expect(withOwnCallIds(odd, [asked("a")], []).message["tool_calls"]).toEqual([
    "x",
    { id: 5 },
    call("a_2"),
  ]);
});
