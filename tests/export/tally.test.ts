import { expect, test } from "bun:test";
import { ExportTally, omittedParts, unpairedRows } from "../../src/export/tally.ts";
import { hopsOf, recordOf } from "./made.ts";

test("a new tally has counted nothing", () => {
  const tally = new ExportTally();
  expect(tally).toMatchObject({ records: 0, simulated: false });
  expect(tally.leftOut).toEqual({
    not_ok: 0,
    unanswered: 0,
    filtered: 0,
    not_annotated: 0,
    below_min_score: 0,
    no_trained_turn: 0,
    duplicate: 0,
    near_duplicate: 0,
  });
  expect([...tally.models]).toEqual([]);
});

test("a tally counts answers and completion tokens by model", () => {
  const usage = (completion_tokens: number) => ({
    requests: 1,
    prompt_tokens: 100,
    completion_tokens,
  });
  const [first, second, third, fourth] = hopsOf(["a", 1], ["b", 2], ["a", 3], ["c", 4]);
  const tally = new ExportTally();
  tally.add(
    recordOf({
      history: [
        { ...first, model: "m", usage: usage(5) },
        { ...second, model: "n", usage: usage(7) },
        { ...third, model: "m", usage: usage(6) },
        { ...fourth },
      ] as never,
    }),
  );
  tally.add(recordOf({ history: [{ ...first, model: "m" }] as never }));
  expect([...tally.models]).toEqual([
    ["m", { answers: 3, completionTokens: 11 }],
    ["n", { answers: 1, completionTokens: 7 }],
  ]);
});

test("a tally is simulated from the first simulated record on", () => {
  const tally = new ExportTally();
  tally.add(recordOf());
  expect(tally.simulated).toBe(false);
  tally.add(recordOf({ simulated: true }));
  tally.add(recordOf());
  expect(tally.simulated).toBe(true);
});

test("omitted parts and rows without a pair are told apart", () => {
  const { omitted } = new ExportTally();
  omitted.images = 2;
  omitted.rows_with_equal_texts = 3;
  expect(omittedParts(omitted)).toEqual({
    reasoning: 0,
    reasoning_details: 0,
    images: 2,
    audio: 0,
    tools: 0,
    lone_surrogates: 0,
    untrained_marks: 0,
    examples_without_prompt: 0,
    answers_without_score: 0,
  });
  expect(unpairedRows(omitted)).toEqual({
    one_answer: 0,
    equal_scores: 0,
    equal_texts: 3,
    other_prompts: 0,
  });
});
