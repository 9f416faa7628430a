// A task's history as the messages that one role's model sees.

import { expect, test } from "bun:test";
import { conversationOf, mergeNeighbours, messagesOf } from "../../src/agent/conversation.ts";
import type { ChatMessage } from "../../src/model/contract.ts";
import type { Json } from "../../src/task/json.ts";
import { hopOf } from "../parts/task.ts";

const CALL = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
const TOOL = { role: "tool", tool_call_id: "c", content: "1" };

test.each([
  ["a message", { content: "hi" }, [{ role: "assistant", content: "hi" }]],
  ["a text", "hi", [{ role: "assistant", content: null }]],
  ["null", null, [{ role: "assistant", content: null }]],
  [
    "a message without calls",
    { content: "hi", tool_calls: [] },
    [{ role: "assistant", content: "hi" }],
  ],
  [
    "a message with calls that are not a list",
    { content: "hi", tool_calls: "x" },
    [{ role: "assistant", content: "hi" }],
  ],
  [
    "a message with calls",
    { content: null, tool_calls: [CALL] },
    [{ role: "assistant", content: null, tool_calls: [CALL] }],
  ],
  [
    "a message with calls and reasoning",
    { content: null, tool_calls: [CALL], reasoning: "a", reasoning_content: "b" },
    [
      {
        role: "assistant",
        content: null,
        tool_calls: [CALL],
        reasoning: "a",
        reasoning_content: "b",
      },
    ],
  ],
  [
    "a message with reasoning alone",
    { content: "hi", reasoning: "a", reasoning_content: "b" },
    [{ role: "assistant", content: "hi" }],
  ],
  ["a tool message", TOOL, [TOOL]],
  ["a list of tool messages", [TOOL, "noise", TOOL], [TOOL, TOOL]],
] as const)("a role's own result, %s, becomes its message", (_title, result, messages) => {
  expect(messagesOf(hopOf("me", result as Json), true)).toEqual(messages as never);
});

test.each([
  ["a message", { content: "hi", tool_calls: [CALL] }, { role: "user", content: "hi" }],
  ["a text", "hi", { role: "user", content: '"hi"' }],
  ["an object", { a: 1 }, { role: "user", content: '{"a":1}' }],
  ["an object with other content", { content: 5 }, { role: "user", content: '{"content":5}' }],
  ["a tool message", TOOL, TOOL],
  ["a tool message without an id", { role: "tool", content: "1" }, { role: "user", content: "1" }],
  ["an empty list", [], { role: "user", content: "[]" }],
] as const)("another role's result, %s, becomes a user's message", (_title, result, message) => {
  expect(messagesOf(hopOf("other", result as Json), false)).toEqual([message] as never);
});

test("a conversation has the hops of its members in order, and hides the others", () => {
  const history = [
    hopOf("a", { content: "1" }),
    hopOf("judge", { content: "hidden" }),
    hopOf("b", { content: "2" }),
    hopOf("a", { content: "3" }),
  ];
  expect(conversationOf(history, "a", new Set(["a", "b"]))).toEqual([
    { role: "assistant", content: "1" },
    { role: "user", content: "2" },
    { role: "assistant", content: "3" },
  ]);
  expect(conversationOf(history, "a", new Set())).toEqual([]);
});

const user = (content: string): ChatMessage => ({ role: "user", content });

test("neighbours of one role are joined with an empty line between", () => {
  expect(mergeNeighbours([user("a"), user("b"), user("c")])).toEqual([user("a\n\nb\n\nc")]);
  const mixed: ChatMessage[] = [user("a"), { role: "assistant", content: "b" }, user("c")];
  expect(mergeNeighbours(mixed)).toEqual(mixed);
});

test.each([
  ["tool messages", [TOOL, TOOL]],
  [
    "messages with calls",
    [
      { role: "assistant", content: "a", tool_calls: [CALL] },
      { role: "assistant", content: "b" },
    ],
  ],
  [
    "messages before calls",
    [
      { role: "assistant", content: "b" },
      { role: "assistant", content: "a", tool_calls: [CALL] },
    ],
  ],
  [
    "messages without text",
    [
      { role: "assistant", content: null },
      { role: "assistant", content: "b" },
    ],
  ],
  [
    "messages before one without text",
    [
      { role: "assistant", content: "b" },
      { role: "assistant", content: null },
    ],
  ],
] as const)("neighbouring %s stay apart", (_title, messages) => {
  expect(mergeNeighbours(messages as unknown as ChatMessage[])).toEqual(messages as never);
});
