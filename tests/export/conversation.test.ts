import { expect, test } from "bun:test";
import type { Conversation } from "../../src/export/contract.ts";
import { candidatesIn, conversationOf, unansweredIn } from "../../src/export/conversation.ts";
import type { Perspective } from "../../src/export/perspective.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import {
  assistant,
  CALL,
  hopsOf,
  perspectiveOf,
  recordOf,
  system,
  TOOL,
  tool,
  user,
} from "./made.ts";

const said = (content: string, more: JsonObject = {}): JsonObject => ({
  role: "assistant",
  content,
  ...more,
});

function conversation(
  history: readonly (readonly [role: string, result: Json])[],
  perspective: Partial<Perspective> = {},
  record: Partial<TrajectoryRecord> = {},
): Conversation | null {
  const made = recordOf({ history: hopsOf(...history), ...record });
  return conversationOf(made, perspectiveOf(perspective));
}

/** Takes answers that are not whole, for any reason. */
const ALL = () => true;

test("a conversation has the turns of its parts in order, and no other roles", () => {
  expect(
    conversation([
      ["student", said("A?")],
      ["judge", { agreed: false }],
      ["teacher", said("B.")],
      ["student", said("C.")],
    ]),
  ).toEqual({ turns: [assistant("A?"), user("B."), assistant("C.")], tools: [] });
});

test("a conversation of the own view has the turns, the tool results and the words that the model was shown", () => {
  const history: [string, Json][] = [
    ["teacher", said("a task")],
    ["student", { role: "assistant", content: null, tool_calls: [CALL] }],
    ["tools", [{ role: "tool", tool_call_id: "c1", content: "1" }]],
    ["student", said("A")],
    ["notes", said("hidden")],
    ["teacher", said("wrong")],
    ["student", said("B")],
    ["teacher", said("right")],
  ];
  const parts = new Map([["student", "assistant"]] as const);
  const turns = (hasPrompt: boolean) =>
    conversation(history, { parts, ownView: { hasPrompt } })?.turns;
  const shown = [
    assistant(null, { tool_calls: [CALL] }),
    tool("1"),
    assistant("A"),
    user("wrong"),
    assistant("B"),
  ];
  expect(turns(true)).toEqual(shown);
  expect(turns(false)).toEqual([user("a task"), ...shown]);
});

test("a conversation has the results of an assistant's calls, also when their role has no part", () => {
  const other = { ...CALL, id: "c2" };
  const history: [string, Json][] = [
    ["teacher", { role: "assistant", content: null, tool_calls: [other] }],
    ["tools", [{ role: "tool", tool_call_id: "c2", content: "of the teacher" }]],
    ["student", { role: "assistant", content: null, tool_calls: [CALL] }],
    ["tools", [{ role: "tool", tool_call_id: "c1", content: "1" }]],
    ["student", said("A")],
  ];
  const parts = new Map([["student", "assistant"]] as const);
  expect(conversation(history, { parts })?.turns).toEqual([
    assistant(null, { tool_calls: [CALL] }),
    tool("1"),
    assistant("A"),
  ]);
});

test("a conversation ends with its last trained turn", () => {
  const history: [string, Json][] = [
    ["student", said("A")],
    ["teacher", said("B")],
  ];
  expect(conversation(history)?.turns).toEqual([assistant("A")]);
  expect(conversation(history, { trained: new Set() })).toBeNull();
  expect(conversation([["teacher", said("B")]])).toBeNull();
  expect(conversation([])).toBeNull();
});

test("assistants that are not trained on keep their part", () => {
  const parts = new Map([
    ["student", "assistant"],
    ["teacher", "assistant"],
  ] as const);
  const history: [string, Json][] = [
    ["student", said("A")],
    ["teacher", said("B")],
  ];
  expect(conversation(history, { parts, trained: new Set(["teacher"]) })?.turns).toEqual([
    assistant("A", { trained: false }),
    assistant("B"),
  ]);
});

test("the tools of a conversation are those of its record", () => {
  const toolsOf = ({ id }: TrajectoryRecord) => (id === "7" ? [TOOL] : []);
  const history: [string, Json][] = [["student", said("A")]];
  expect(conversation(history, { toolsOf }, { id: "7" })?.tools).toEqual([TOOL]);
});

test("a conversation opens with the prompts as they were when the assistant spoke last", () => {
  const seen: JsonObject[] = [];
  const prompt = (variables: object): string => {
    seen.push(variables as JsonObject);
    return "Why?";
  };
  const history: [string, Json][] = [
    ["student", said("A")],
    ["judge", { n: 1 }],
    ["student", said("B")],
    ["judge", { n: 2 }],
  ];
  const record = { id: "7", trial: 2, row: { q: 1 } };
  const made = conversation(history, { system: () => "Be brief.", prompt }, record);
  expect(made?.turns.slice(0, 2)).toEqual([system("Be brief."), user("Why?")]);
  expect(seen).toEqual([
    {
      row: { q: 1 },
      state: null,
      history: hopsOf(...history).slice(0, 2) as never,
      last: { n: 1 },
      role: "student",
      id: "7",
      trial: 2,
    },
  ]);
});

test("the prompts before the first hop see no history and no last result", () => {
  const seen: JsonObject[] = [];
  const prompt = (variables: object): string => {
    seen.push(variables as JsonObject);
    return "Why?";
  };
  conversation([["student", said("A")]], { prompt });
  expect(seen[0]).toMatchObject({ history: [], last: null });
});

test("an assistant that was never shown its answers has its last answer alone", () => {
  const history: [string, Json][] = [
    ["student", said("A")],
    ["teacher", said("B")],
    ["student", said("C")],
  ];
  expect(conversation(history, { lastAnswerOnly: true })?.turns).toEqual([
    user("B"),
    assistant("C"),
  ]);
});

test("a conversation is made of the hops that the perspective chooses", () => {
  const hopsOfLast = ({ history }: TrajectoryRecord) => history.slice(-1);
  const history: [string, Json][] = [
    ["student", said("A")],
    ["student", said("B")],
  ];
  expect(conversation(history, { hopsOf: hopsOfLast })?.turns).toEqual([assistant("B")]);
});

test("tool calls, tool results and reasoning are turns as they are", () => {
  const parts = new Map([
    ["student", "assistant"],
    ["tools", "user"],
  ] as const);
  const calling = { role: "assistant", content: null, tool_calls: [CALL], reasoning_content: "r" };
  const found = { role: "tool", tool_call_id: "c1", content: "Ann" };
  const history: [string, Json][] = [
    ["student", calling as unknown as Json],
    ["tools", [found, found]],
    ["student", said("Ann.", { reasoning_content: "found" })],
  ];
  expect(conversation(history, { parts })?.turns).toEqual([
    assistant(null, { tool_calls: [CALL], reasoning_content: "r" }),
    tool("Ann"),
    tool("Ann"),
    assistant("Ann.", { reasoning_content: "found" }),
  ]);
});

test("reasoning is a part of a turn, by whatever name the endpoint gave it", () => {
  const details = [{ type: "reasoning.encrypted", data: "x9" }];
  const results: readonly JsonObject[] = [
    { role: "assistant", content: null, tool_calls: [CALL] as never, reasoning: "r" },
    said("x", { reasoning: "s", reasoning_content: null }),
    said("y", { reasoning_details: details }),
    { role: "assistant", content: null, reasoning: "t" },
  ];
  expect(conversation(results.map((result) => ["student", result]))?.turns).toEqual([
    assistant(null, { tool_calls: [CALL], reasoning_content: "r" }),
    assistant("x", { reasoning_content: "s" }),
    assistant("y", { reasoning_details: { reasoning_details: details } }),
    assistant("", { reasoning_content: "t" }),
  ]);
});

test.each<[what: string, content: Json, text: string]>([
  ["an object", { found: 1 }, '{"found":1}'],
  ["a list", ["a"], '["a"]'],
  ["nothing", null, ""],
])("a tool that answers %s answers with text", (_, content, text) => {
  const parts = new Map([
    ["student", "assistant"],
    ["tools", "user"],
  ] as const);
  const history: [string, Json][] = [
    ["tools", [{ role: "tool", tool_call_id: "c1", content }]],
    ["student", said("x")],
  ];
  expect(conversation(history, { parts })?.turns[0]).toEqual(tool(text));
});

test.each<[what: string, result: Json, content: string]>([
  ["a refusal", { role: "assistant", content: null, refusal: "No." }, "No."],
  ["nothing but reasoning by a field that is empty", { role: "assistant", content: null }, ""],
  ["text", "plain", "plain"],
  ["any JSON with content", { content: null, note: 1 }, '{"content":null,"note":1}'],
  ["any JSON", { note: "dull" }, '{"note":"dull"}'],
  ["a number", 3, "3"],
])("an assistant that answers %s says it as text", (_, result, content) => {
  expect(conversation([["student", result]])?.turns).toEqual([assistant(content)]);
});

test("neighbours of one speaker become one turn", () => {
  const history: [string, Json][] = [
    ["teacher", said("1")],
    ["teacher", said("2")],
    ["teacher", said("3")],
    ["student", said("4")],
    ["student", said("5")],
  ];
  expect(conversation(history)?.turns).toEqual([user("1\n\n2\n\n3"), assistant("4\n\n5")]);
  expect(conversation(history, { prompt: () => "0" })?.turns[0]).toEqual(user("0\n\n1\n\n2\n\n3"));
});

test("neighbours stay apart when only one of them is trained on", () => {
  const parts = new Map([
    ["student", "assistant"],
    ["teacher", "assistant"],
  ] as const);
  const history: [string, Json][] = [
    ["teacher", said("1")],
    ["student", said("2")],
  ];
  expect(conversation(history, { parts })?.turns).toHaveLength(2);
});

test.each<[what: string, result: JsonObject]>([
  ["a tool call", { role: "assistant", content: "x", tool_calls: [CALL] as never }],
  ["reasoning", said("x", { reasoning_content: "r" })],
  ["details", said("x", { reasoning_details: [{ type: "reasoning.encrypted", data: "x9" }] })],
])("a turn with %s stays apart from its neighbours", (_, result) => {
  const history: [string, Json][] = [
    ["student", said("1")],
    ["student", result],
    ["student", said("3")],
  ];
  expect(conversation(history)?.turns).toHaveLength(3);
});

test("answers that are not whole are told when they would be trained on", () => {
  const history = hopsOf(
    ["student", said("A", { finish_reason: "length" })],
    ["teacher", said("B", { finish_reason: "content_filter" })],
    ["student", said("C")],
    ["student", { role: "assistant", content: null, refusal: "No." }],
  );
  const record = recordOf({ history });
  expect(unansweredIn(record, perspectiveOf())).toEqual(["cut", "refused"]);
  expect(unansweredIn(record, perspectiveOf({ lastAnswerOnly: true }))).toEqual(["refused"]);
  expect(unansweredIn(record, perspectiveOf({ trained: new Set(["teacher"]) }))).toEqual([
    "content_filtered",
  ]);
});

const MEDIA = [{ kind: "image", url: "data:image/png;base64,iVBO" }] as const;

test("media belong to the first message of the user, after neighbours were joined", () => {
  const record = recordOf({
    history: hopsOf(["teacher", said("And?")], ["student", said("A cat.")]),
  });
  const perspective = perspectiveOf({ system: () => "See.", prompt: () => "What?" });
  expect(conversationOf(record, perspective, MEDIA)?.turns).toEqual([
    system("See."),
    { ...user("What?\n\nAnd?"), media: MEDIA },
    assistant("A cat."),
  ]);
});

test("media have no place in a conversation without a prompt, or without the recipe's prompts", () => {
  const alone = recordOf({ history: hopsOf(["student", said("A cat.")]) });
  expect(conversationOf(alone, perspectiveOf(), MEDIA)).toEqual({
    turns: [assistant("A cat.")],
    tools: [],
    unplaced: MEDIA,
  });
  const asked = recordOf({ history: hopsOf(["teacher", said("And?")], ["student", said("B")]) });
  expect(conversationOf(asked, perspectiveOf({ withPrompts: false }), MEDIA)).toMatchObject({
    turns: [user("And?"), assistant("B")],
    unplaced: MEDIA,
  });
  expect(conversationOf(asked, perspectiveOf())).toEqual({
    turns: [user("And?"), assistant("B")],
    tools: [],
  });
});

test("a candidate has no score when one of its trained answers is not whole, unless that is taken", () => {
  const cut = { ...said("b"), finish_reason: "length" };
  const record = recordOf({ history: hopsOf(["student", said("a")], ["student", cut]) });
  const [a, b] = record.history.map((hop) => [hop]);
  const candidatesOf = () => [
    { score: 1, hops: a ?? [] },
    { score: 2, hops: b ?? [] },
  ];
  const perspective = perspectiveOf({ candidatesOf });
  const scores = (taken: readonly string[]) =>
    candidatesIn(record, perspective, (reasons) =>
      reasons.every((reason) => taken.includes(reason)),
    ).map(({ score }) => score);
  expect(scores([])).toEqual([1, null]);
  expect(scores(["cut"])).toEqual([1, 2]);
});

test("candidates of a record are the conversations of each, with their scores", () => {
  const record = recordOf({
    score: 2,
    history: hopsOf(["student", said("a")], ["student", said("b")], ["judge", { score: 0 }]),
  });
  expect(candidatesIn(record, perspectiveOf(), ALL)).toEqual([
    { score: 2, conversation: { turns: [assistant("a\n\nb")], tools: [] } },
  ]);
  const [a, b, judge] = record.history;
  const candidatesOf = () => [
    { score: 1, hops: a === undefined ? [] : [a] },
    { score: null, hops: judge === undefined ? [] : [judge] },
    { score: 2, hops: b === undefined ? [] : [b] },
  ];
  const perspective = perspectiveOf({ candidatesOf, prompt: () => "q" });
  const found = candidatesIn(record, perspective, ALL, MEDIA);
  expect(found).toEqual([
    {
      score: 1,
      conversation: { turns: [{ ...user("q"), media: MEDIA }, assistant("a")], tools: [] },
    },
    {
      score: 2,
      conversation: { turns: [{ ...user("q"), media: MEDIA }, assistant("b")], tools: [] },
    },
  ]);
});

test("the prompt of a branch is rendered without the hops of its siblings", () => {
  const [start, one, two] = hopsOf(["judge", "s"], ["student", said("a")], ["student", said("b")]);
  const history = [
    start,
    { ...one, branch: 0 },
    { ...two, branch: 1 },
  ] as TrajectoryRecord["history"];
  const seen: unknown[] = [];
  const perspective = perspectiveOf({
    hopsOf: () => history.slice(2),
    prompt: ({ history: shown, last }) => {
      seen.push([(shown as readonly unknown[]).length, last]);
      return "q";
    },
  });
  conversationOf(recordOf({ history }), perspective);
  expect(seen).toEqual([[1, "s"]]);
});
