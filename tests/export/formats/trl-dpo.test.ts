import { expect, test } from "bun:test";
import type { Selected, Turn } from "../../../src/export/contract.ts";
import { trlDpo } from "../../../src/export/formats/trl-dpo.ts";
import { templateMessage } from "../../../src/export/messages.ts";
import { assistant, CALL, manifestOf, recordOf, TOOL, user, written } from "../made.ts";

let count = 0;

function trial(id: string, score: number | null, turns: readonly Turn[], run = "talk"): Selected {
  return {
    number: count++,
    run: manifestOf({ name: run }),
    record: recordOf({ id, score }),
    conversation: { turns, tools: [TOOL] },
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

test.each<[what: string, trials: () => Selected[]]>([
  ["of one trial", () => [trial("1", 1, said("q", "a"))]],
  ["of equal scores", () => [trial("1", 1, said("q", "a")), trial("1", 1, said("q", "b"))]],
  ["with one score", () => [trial("1", 1, said("q", "a")), trial("1", null, said("q", "b"))]],
  ["that parts at the user", () => [trial("1", 1, said("q", "a")), trial("1", 0, said("p", "a"))]],
  ["of two rows", () => [trial("1", 1, said("q", "a")), trial("2", 0, said("q", "b"))]],
  [
    "of two runs of other names",
    () => [trial("1", 1, said("q", "a")), trial("1", 0, said("q", "b"), "other")],
  ],
])("a row %s gives no pair", async (_, trials) => {
  const selected = trials();
  expect(await written(trlDpo, selected)).toEqual({
    examples: selected.map(() => 0),
    rows: [],
  });
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
  const other = { ...CALL, id: "c2" };
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
  expect(trlDpo.columns({ masked: false })).toEqual({
    prompt: { list: "json" },
    chosen: { list: "json" },
    rejected: { list: "json" },
    tools: "string",
    score_chosen: "float64",
    score_rejected: "float64",
  });
});

test("a pair may have no shared turn before the assistant's first one", async () => {
  const { rows } = await written(trlDpo, [
    trial("1", 1, [assistant("same"), user("x"), assistant("good")]),
    trial("1", 0, [assistant("same"), user("y"), assistant("bad")]),
  ]);
  expect(rows).toMatchObject([{ prompt: [], chosen: { length: 3 }, rejected: { length: 3 } }]);
});
