// A task's history as the messages that one role's model sees.

import { expect, test } from "bun:test";
import {
  conversationOf,
  defaultConversation,
  mergeNeighbours,
  messagesOf,
  ownView,
} from "../../src/agent/conversation.ts";
import type { ChatMessage } from "../../src/model/contract.ts";
import type { OrchestratorConfig } from "../../src/recipe/schema/orchestrator-schema.ts";
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

const orchestrator = (config: unknown) => config as OrchestratorConfig;
const TALK = orchestrator({ pattern: "dialogue", speakers: ["a", "b"], between: ["c"] });
const LOOP = orchestrator({ pattern: "tool-loop", speaker: "a", tools: "t" });

test.each([
  ["a", TALK, ["a", "b"]],
  ["c", TALK, []],
  ["a", LOOP, ["a", "t"]],
  ["t", LOOP, []],
  ["a", orchestrator({ pattern: "sequence", roles: ["a"] }), []],
  ["a", orchestrator({ pattern: "best-of-n", roles: ["a"], n: 2 }), []],
  ["a", orchestrator({ pattern: "pipeline", stages: [{ role: "a" }] }), []],
  ["a", orchestrator({ pattern: "fan-out", roles: ["a"], after: [] }), []],
  ["a", orchestrator({ module: "m.ts" }), null],
  ["a", orchestrator({ graph: "g.ts" }), null],
])(
  "the role %s of %j sees the roles %j by default, where null is its own view",
  (name, config, roles) => {
    expect(defaultConversation(name, config)).toEqual(roles);
  },
);

const calling = (...ids: string[]) => ({
  content: null,
  tool_calls: ids.map((id) => ({ ...CALL, id })),
});
const answer = (id: string) => ({ role: "tool", tool_call_id: id, content: `of ${id}` });
const own = (content: string) => ({ role: "assistant", content });

test("the own view has a role's results, the answers to its calls, and what was handed back to it", () => {
  const history = [
    hopOf("planner", { content: "before its first turn" }),
    hopOf("me", calling("c1", "c2")),
    hopOf("tools", [answer("c1"), answer("c2")]),
    hopOf("me", { content: "first" }),
    hopOf("notes", { content: "for the critic" }),
    hopOf("critic", { content: "for me" }),
    hopOf("me", { content: "second" }),
    hopOf("checker", { passed: false }),
  ];
  const later = [
    [{ role: "assistant", ...calling("c1", "c2") }],
    [answer("c1"), answer("c2")],
    [own("first")],
    [],
    [{ role: "user", content: "for me" }],
    [own("second")],
    [{ role: "user", content: '{"passed":false}' }],
  ];
  expect(ownView(history, "me", true)).toEqual([[], ...later] as never);
  const heard = [{ role: "user", content: "before its first turn" }];
  expect(ownView(history, "me", false)).toEqual([heard, ...later] as never);
});

test("the own view hides tool results of other roles' calls, also beside answers to its own", () => {
  const history = [
    hopOf("user", calling("u1")),
    hopOf("tools", [answer("u1")]),
    hopOf("me", calling("c1")),
    hopOf("tools", [answer("u1"), answer("c1")]),
    hopOf("me", { content: "done" }),
    hopOf("tools", answer("u1")),
  ];
  expect(ownView(history, "me", true)).toEqual([
    [],
    [],
    [{ role: "assistant", ...calling("c1") }],
    [answer("c1")],
    [own("done")],
    [],
  ] as never);
});

test("the own view of a role's first turn is empty, and that of a role that acts in a row ends with its results", () => {
  const before = [hopOf("planner", { content: "a plan" })];
  expect(ownView(before, "me", true)).toEqual([[]]);
  expect(ownView([], "me", false)).toEqual([]);
  const twice = [hopOf("me", { content: "1" }), hopOf("me", { content: "2" })];
  expect(ownView(twice, "me", true).flat()).toEqual([own("1"), own("2")] as never);
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
