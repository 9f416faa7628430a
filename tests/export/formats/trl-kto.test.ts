import { expect, test } from "bun:test";
import { trlKto } from "../../../src/export/formats/trl-kto.ts";
import { templateMessage } from "../../../src/export/messages.ts";
import {
  assistant,
  CONVERSATION,
  formatOptions,
  selectedOf,
  TOOL,
  user,
  written,
} from "../made.ts";

const MESSAGES = JSON.parse(JSON.stringify(CONVERSATION.turns.map(templateMessage)));

test("an example for KTOTrainer is the last answer of a scored record after all before it", async () => {
  expect(await written(trlKto, [selectedOf(CONVERSATION, { score: 0.5 })])).toEqual({
    examples: [1],
    rows: [
      {
        prompt: MESSAGES.slice(0, -1),
        completion: MESSAGES.slice(-1),
        label: true,
        tools: JSON.stringify([TOOL]),
        score: 0.5,
      },
    ],
  });
});

test("an answer for KTOTrainer is good from the user's score on", async () => {
  const scores = [0, 0.49, 0.5, 1, 5, null];
  const selected = scores.map((score) => selectedOf(CONVERSATION, { score }));
  const labels = async (goodScore: number) =>
    (await written(trlKto, selected, { goodScore })).rows.map(({ label }) => label);
  expect(await labels(0.5)).toEqual([false, false, true, true, true]);
  expect(await labels(5)).toEqual([false, false, false, false, true]);
});

test("every scored candidate is an example for KTOTrainer", async () => {
  const candidate = (score: number | null, text: string) => ({
    score,
    conversation: { turns: [user("q"), assistant(text)], tools: [] },
  });
  const candidates = [candidate(1, "a"), candidate(null, "cut"), candidate(0, "b")];
  const selected = { ...selectedOf(CONVERSATION), candidates: () => candidates };
  const { examples, rows, omitted } = await written(trlKto, [selected]);
  expect(examples).toEqual([2]);
  expect(omitted).toEqual({ answers_without_score: 1 });
  expect(rows).toMatchObject([
    { completion: [{ content: "a" }], label: true },
    { completion: [{ content: "b" }], label: false },
  ]);
});

test("an answer without a prompt is no example for KTOTrainer, and is counted", async () => {
  const turns = [assistant("a")];
  expect(await written(trlKto, [selectedOf({ turns, tools: [] }, { score: 1 })])).toEqual({
    examples: [0],
    rows: [],
    omitted: { examples_without_prompt: 1 },
  });
});

test("the columns for KTOTrainer are declared, with images when there are any", () => {
  const columns = {
    prompt: { list: "message" },
    completion: { list: "message" },
    label: "bool",
    tools: "string",
    score: "float64",
  } as const;
  expect(trlKto.columns(formatOptions())).toEqual(columns);
  expect(trlKto.columns(formatOptions({ media: new Set(["image", "audio"]) }))).toEqual({
    ...columns,
    images: { list: "image" },
  });
});
