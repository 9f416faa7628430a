import { expect, test } from "bun:test";
import type { Conversation } from "../../src/export/contract.ts";
import {
  LEFT_OUT,
  type LeftOut,
  Selection,
  type SelectionRules,
} from "../../src/export/selection.ts";
import { compileExpression } from "../../src/recipe/expression/expression.ts";
import { Annotations } from "../../src/records/annotations/annotation.ts";
import type { TrajectoryRecord } from "../../src/task/record.ts";
import { assistant, CALL, recordOf, system, TOOL, user } from "./made.ts";

function selectionBy(rules: Partial<SelectionRules> = {}): Selection {
  return new Selection({
    include: new Set(),
    filter: null,
    annotated: null,
    minScore: null,
    dedupe: null,
    ...rules,
  });
}

test("the reasons for leaving a record out are a contract, in the order of the checks", () => {
  expect([...LEFT_OUT]).toEqual([
    "not_ok",
    "unanswered",
    "filtered",
    "not_annotated",
    "below_min_score",
    "no_trained_turn",
    "duplicate",
    "near_duplicate",
  ]);
});

test.each<[record: Partial<TrajectoryRecord>, reason: LeftOut | null]>([
  [{}, null],
  [{ status: "failed" }, "not_ok"],
  [{ status: "lost" }, "not_ok"],
  [{ stop_reason: "cut" }, "unanswered"],
  [{ stop_reason: "context_length" }, "unanswered"],
  [{ stop_reason: "max_turns" }, null],
])("a record with %j is judged %p", (record, reason) => {
  expect(selectionBy().judge(recordOf(record))).toBe(reason);
});

test.each<[score: number | null, minScore: number, reason: LeftOut | null]>([
  [0.5, 0.5, null],
  [0.6, 0.5, null],
  [0.4, 0.5, "below_min_score"],
  [0, 0, null],
  [-1, 0, "below_min_score"],
  [null, 0, "below_min_score"],
  [null, -1, "below_min_score"],
])("a record with the score %p is judged by --min-score %p as %p", (score, minScore, reason) => {
  expect(selectionBy({ minScore }).judge(recordOf({ score }))).toBe(reason);
});

test("a filter must be true and nothing else", () => {
  const judged = (source: string) =>
    selectionBy({ filter: compileExpression(source) }).judge(recordOf({ score: 2 }));
  expect(judged("score > 1.0 && row.question == 'Why?'")).toBeNull();
  expect(judged("score > 2.0")).toBe("filtered");
  expect(judged("1")).toBe("filtered");
  expect(judged("'yes'")).toBe("filtered");
});

test("a filter that cannot be evaluated is an error with the place of the record", () => {
  const selection = selectionBy({ filter: compileExpression("row.nothing > 1") });
  expect(() => selection.judge(recordOf({ id: "7", trial: 3 }))).toThrow(
    "--filter cannot be evaluated for row 7, trial 3: ",
  );
  try {
    selection.judge(recordOf());
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: "usage", hint: expect.stringContaining("has(row.name)") });
  }
});

test("a record is left out for the first reason that applies", () => {
  const selection = selectionBy({ filter: compileExpression("false"), minScore: 1 });
  expect(selection.judge(recordOf({ status: "failed", stop_reason: "cut" }))).toBe("not_ok");
  expect(selection.judge(recordOf({ stop_reason: "cut" }))).toBe("unanswered");
  expect(selection.judge(recordOf())).toBe("filtered");
});

test("answers that are not whole are selected when their reason is included", () => {
  const selection = selectionBy({ include: new Set(["cut", "refused"]) });
  expect(selection.judge(recordOf({ stop_reason: "cut" }))).toBeNull();
  expect(selection.judge(recordOf({ stop_reason: "content_filtered" }))).toBe("unanswered");
  expect(selection.takes([])).toBe(true);
  expect(selection.takes(["cut", "refused"])).toBe(true);
  expect(selection.takes(["cut", "content_filtered"])).toBe(false);
});

const TALK: Conversation = { turns: [user("Why?"), assistant("Because.")], tools: [] };

test("duplicates are selected when they are not looked for", () => {
  const selection = selectionBy();
  expect([selection.admit(TALK), selection.admit(TALK)]).toEqual([null, null]);
});

test.each<[what: string, conversation: Conversation]>([
  ["another role", { ...TALK, turns: [system("Why?"), assistant("Because.")] }],
  ["another text", { ...TALK, turns: [user("Why?"), assistant("So.")] }],
  [
    "another turn trained on",
    { ...TALK, turns: [user("Why?"), assistant("Because.", { trained: false })] },
  ],
  ["other tools", { ...TALK, tools: [TOOL] }],
  ["a call", { ...TALK, turns: [user("Why?"), assistant("Because.", { tool_calls: [CALL] })] }],
])("a conversation with %s is not a duplicate", (_, conversation) => {
  const selection = selectionBy({ dedupe: "exact" });
  selection.admit(TALK);
  expect(selection.admit(conversation)).toBeNull();
  expect(selection.admit(conversation)).toBe("duplicate");
});

test("conversations whose calls differ only in their ids are duplicates", () => {
  const called = (id: string): Conversation => ({
    ...TALK,
    turns: [user("Why?"), assistant(null, { tool_calls: [{ ...CALL, id }] })],
  });
  const selection = selectionBy({ dedupe: "exact" });
  expect([selection.admit(called("1")), selection.admit(called("2"))]).toEqual([null, "duplicate"]);
});

const WORDS = Array.from({ length: 200 }, (_, i) => `word${(i * 37) % 101}`);

test("near duplicates are found when they are looked for, and exact ones are told as such", () => {
  const talk = (text: string): Conversation => ({ ...TALK, turns: [user("Q"), assistant(text)] });
  const exact = WORDS.join(" ");
  const near = WORDS.with(100, "another").join(" ");
  const judged = (dedupe: "exact" | "near") => {
    const selection = selectionBy({ dedupe });
    return [exact, exact, near].map((text) => selection.admit(talk(text)));
  };
  expect(judged("near")).toEqual([null, "duplicate", "near_duplicate"]);
  expect(judged("exact")).toEqual([null, "duplicate", null]);
});

test("near duplicates are found by turns and arguments, without the system prompt", () => {
  const selection = selectionBy({ dedupe: "near" });
  const said = (prompt: string, text: string): Conversation => ({
    ...TALK,
    turns: [system(prompt), assistant(text)],
  });
  const called: Conversation = {
    ...TALK,
    turns: [
      assistant(null, {
        tool_calls: [{ ...CALL, function: { name: "f", arguments: WORDS.join(" ") } }],
      }),
    ],
  };
  const prompt = WORDS.toReversed().join(" ");
  expect(selection.admit(said(prompt, "one two three four five six"))).toBeNull();
  expect(selection.admit(said(prompt, "six five four three two one"))).toBeNull();
  expect(selection.admit(said("Be brief.", "one two three four five six"))).toBe("near_duplicate");
  expect(selection.admit(called)).toBeNull();
  expect(selection.admit(said("x", WORDS.join(" ")))).toBe("near_duplicate");
});

test("people's verdicts and labels select records; words on an earlier attempt do not", () => {
  const annotations = new Annotations();
  const say = (who: string, more: object) =>
    annotations.add({ at: "", who, id: "a", trial: 0, attempt: 1, ...more });
  const record = { ...recordOf({}), id: "a", trial: 0, attempt: 1 };
  const verdicts = (["accepted", "rejected"] as const).map((verdict) =>
    selectionBy({ annotated: { verdict } }),
  );
  const judged = (given = record) => verdicts.map((by) => by.judge(given, annotations));
  expect(judged()).toEqual(["not_annotated", "not_annotated"]);
  say("ann", { verdict: "accepted", labels: ["good"] });
  expect(judged()).toEqual([null, "not_annotated"]);
  expect(judged({ ...record, attempt: 2 })).toEqual(["not_annotated", "not_annotated"]);
  expect(judged({ ...record, trial: 1 })).toEqual(["not_annotated", "not_annotated"]);
  say("bob", { verdict: "rejected" });
  expect(judged()).toEqual(["not_annotated", "not_annotated"]);
  const labelled = (label: string) =>
    selectionBy({ annotated: { label } }).judge(record, annotations);
  expect([labelled("good"), labelled("bad")]).toEqual([null, "not_annotated"]);
});
