import { expect, test } from "bun:test";
import type { Selected, Turn } from "../../../src/export/contract.ts";
import { trlDpo } from "../../../src/export/formats/trl-dpo.ts";
import { templateMessage } from "../../../src/export/messages.ts";
import {
  assistant,
  CALL,
  formatOptions,
  manifestOf,
  recordOf,
  TOOL,
  tool,
  user,
  written,
} from "../made.ts";

let count = 0;

function trial(id: string, score: number | null, turns: readonly Turn[], run = "talk"): Selected {
  const conversation = { turns, tools: [TOOL] };
  return {
    number: count++,
    run: manifestOf({ name: run }),
    record: recordOf({ id, score }),
    conversation,
    candidates: () => [{ score, conversation }],
  };
}

const said = (...texts: readonly string[]): Turn[] =>
  texts.map((text, i) => (i % 2 === 0 ? user(text) : assistant(text)));

test("a pair for DPOTrainer is a row's best trial against its worst", async () => {
  const { examples, rows } = await written(trlDpo, [
    trial("1", 0.4, said("q", "middle")),
    trial("1", 0.2, said("q", "same", "hint", "bad")),
    trial("1", 0.9, said("q", "same", "hint", "good")),
  ]);
  expect(examples).toEqual([0, 0, 1]);
  expect(rows).toEqual([
    {
      prompt: said("q", "same", "hint").map(templateMessage),
      chosen: [{ role: "assistant", content: "good" }],
      rejected: [{ role: "assistant", content: "bad" }],
      tools: JSON.stringify([TOOL]),
      score_chosen: 0.9,
      score_rejected: 0.2,
    },
  ]);
});

test("the better trial of a pair is the chosen one, also when it comes first", async () => {
  const { rows } = await written(trlDpo, [
    trial("1", 1, said("q", "good")),
    trial("1", 0, said("q", "bad")),
  ]);
  expect(rows).toMatchObject([
    { chosen: [{ content: "good" }], rejected: [{ content: "bad" }], score_chosen: 1 },
  ]);
});

test("of equal trials the first one is taken", async () => {
  const { rows } = await written(trlDpo, [
    trial("1", 1, said("q", "good 1")),
    trial("1", 1, said("q", "good 2")),
    trial("1", 0, said("q", "bad 1")),
    trial("1", 0, said("q", "bad 2")),
  ]);
  expect(rows).toMatchObject([
    { chosen: [{ content: "good 1" }], rejected: [{ content: "bad 1" }] },
  ]);
});

test.each<[what: string, omitted: Record<string, number>, trials: () => Selected[]]>([
  ["of one trial", { rows_with_one_answer: 1 }, () => [trial("1", 1, said("q", "a"))]],
  [
    "of equal scores",
    { rows_with_equal_scores: 1 },
    () => [trial("1", 1, said("q", "a")), trial("1", 1, said("q", "b"))],
  ],
  [
    "with one score",
    { rows_with_one_answer: 1 },
    () => [trial("1", 1, said("q", "a")), trial("1", null, said("q", "b"))],
  ],
  [
    "of equal texts",
    { rows_with_equal_texts: 1 },
    () => [trial("1", 1, said("q", "a")), trial("1", 0, said("q", "a"))],
  ],
  [
    "whose tools alone differ",
    { rows_with_equal_texts: 1 },
    () =>
      ["x", "y"].map((found, score) =>
        trial("1", score, [
          user("q"),
          assistant(null, { tool_calls: [CALL] }),
          tool(found),
          assistant("a"),
        ]),
      ),
  ],
  [
    "that parts at the user",
    { rows_with_other_prompts: 1 },
    () => [trial("1", 1, said("q", "a")), trial("1", 0, said("p", "b"))],
  ],
  [
    "without a prompt",
    { rows_with_other_prompts: 1 },
    () => [trial("1", 1, [assistant("a")]), trial("1", 0, [assistant("b")])],
  ],
  [
    "of two rows",
    { rows_with_one_answer: 2 },
    () => [trial("1", 1, said("q", "a")), trial("2", 0, said("q", "b"))],
  ],
  [
    "of two runs of other names",
    { rows_with_one_answer: 2 },
    () => [trial("1", 1, said("q", "a")), trial("1", 0, said("q", "b"), "other")],
  ],
])("a row %s gives no pair, and the reason is counted", async (_, omitted, trials) => {
  const selected = trials();
  expect(await written(trlDpo, selected)).toEqual({
    examples: selected.map(() => 0),
    rows: [],
    omitted,
  });
});

test("the worst answer that says something else is taken against the best", async () => {
  const { rows } = await written(trlDpo, [
    trial("1", 0.1, said("q", "same")),
    trial("1", 1, said("q", "same")),
    trial("1", 0.5, said("q", "other")),
    trial("1", 0.7, said("q", "third")),
  ]);
  expect(rows).toMatchObject([
    { chosen: [{ content: "same" }], rejected: [{ content: "other" }], score_rejected: 0.5 },
  ]);
});

test("the best candidate of a row is paired with its worst, over all trials", async () => {
  const candidate = (score: number | null, text: string) => ({
    score,
    conversation: { turns: said("q", text), tools: [] },
  });
  const [first, second] = [trial("1", 3, said("q", "c")), trial("1", 9, said("q", "e"))];
  const candidates = [candidate(3, "c"), candidate(null, "cut"), candidate(2, "b")];
  const one = await written(trlDpo, [{ ...first, candidates: () => candidates }]);
  expect(one.examples).toEqual([1]);
  expect(one.rows).toMatchObject([
    { chosen: [{ content: "c" }], rejected: [{ content: "b" }], score_chosen: 3 },
  ]);
  const both = await written(trlDpo, [
    { ...first, candidates: () => candidates },
    { ...second, candidates: () => [candidate(5, "d"), candidate(9, "e")] },
  ]);
  expect(both.examples).toEqual([0, 1]);
  expect(both.rows).toMatchObject([
    { chosen: [{ content: "e" }], rejected: [{ content: "b" }], score_rejected: 2 },
  ]);
});

test("turns before the last answer are the prompt, whatever the ids of their calls", async () => {
  const turns = (id: string, last: string) => [
    user("q"),
    assistant(null, { tool_calls: [{ ...CALL, id }], reasoning_content: "r" }),
    { ...tool("Ann"), tool_call_id: id },
    assistant(last),
  ];
  const { rows } = await written(trlDpo, [
    trial("1", 0, turns("c7", "bad")),
    trial("1", 1, turns("c1", "good")),
  ]);
  expect(rows).toMatchObject([
    {
      prompt: [{}, { tool_calls: [{ id: "c1" }] }, { tool_call_id: "c1" }],
      chosen: [{ role: "assistant", content: "good" }],
      rejected: [{ role: "assistant", content: "bad" }],
    },
  ]);
});

test("turns with other reasoning are not shared", async () => {
  const turns = (reasoning: string) => [
    user("q"),
    assistant("a", { reasoning_content: reasoning }),
  ];
  const { rows } = await written(trlDpo, [
    trial("1", 1, turns("short")),
    trial("1", 0, turns("long")),
  ]);
  expect(rows).toMatchObject([
    { chosen: [{ reasoning_content: "short" }], rejected: [{ reasoning_content: "long" }] },
  ]);
});

test("a pair that parts at the user goes back to the assistant's turn before", async () => {
  const { rows } = await written(trlDpo, [
    trial("1", 1, [...said("q", "same"), user("x"), assistant("good")]),
    trial("1", 0, [...said("q", "same"), user("y"), assistant("bad")]),
  ]);
  expect(rows).toMatchObject([
    {
      prompt: [{ content: "q" }],
      chosen: [{ content: "same" }, { content: "x" }, { content: "good" }],
      rejected: [{ content: "same" }, { content: "y" }, { content: "bad" }],
    },
  ]);
});

test("a pair whose one trial begins the other goes back to the assistant's turn", async () => {
  const { rows } = await written(trlDpo, [
    trial("1", 1, said("q", "same")),
    trial("1", 0, said("q", "same", "more", "bad")),
  ]);
  expect(rows).toMatchObject([
    { prompt: [{ content: "q" }], chosen: [{ content: "same" }], rejected: { length: 3 } },
  ]);
});

test("turns with other calls are not shared", async () => {
  const other = { ...CALL, function: { name: "find", arguments: "{}" } };
  const { rows } = await written(trlDpo, [
    trial("1", 1, [user("q"), assistant(null, { tool_calls: [CALL] })]),
    trial("1", 0, [user("q"), assistant(null, { tool_calls: [other] })]),
  ]);
  expect(rows).toMatchObject([
    { prompt: [{ content: "q" }], chosen: [{ tool_calls: [{ id: "c1" }] }] },
  ]);
});

test("rows in several run directories of one run are paired", async () => {
  const pairs = await written(trlDpo, [
    trial("1", 1, said("q", "a")),
    trial("2", 1, said("q", "c")),
    trial("2", 0, said("q", "d")),
    trial("1", 0, said("q", "b")),
  ]);
  expect(pairs.examples).toEqual([0, 0, 1, 1]);
  expect(pairs.rows.map(({ chosen }) => (chosen as unknown as Turn[])[0]?.content)).toEqual([
    "c",
    "a",
  ]);
});

test("the columns for DPOTrainer are declared", () => {
  expect(trlDpo.columns(formatOptions({ masked: false }))).toEqual({
    prompt: { list: "message" },
    chosen: { list: "message" },
    rejected: { list: "message" },
    tools: "string",
    score_chosen: "float64",
    score_rejected: "float64",
  });
});

test("a pair in columns of structs has messages of one shape", async () => {
  const { rows } = await written(
    trlDpo,
    [trial("1", 1, said("q", "good")), trial("1", 0, said("q", "bad"))],
    { structs: true },
  );
  expect(rows).toMatchObject([
    { chosen: [{ role: "assistant", content: "good", tool_calls: null, tool_call_id: null }] },
  ]);
});
