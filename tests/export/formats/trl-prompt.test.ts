import { expect, test } from "bun:test";
import { trlPrompt } from "../../../src/export/formats/trl-prompt.ts";
import { templateMessage } from "../../../src/export/messages.ts";
import {
  assistant,
  CONVERSATION,
  formatOptions,
  manifestOf,
  selectedOf,
  TOOL,
  written,
} from "../made.ts";

test("an example of prompts has what stands before the first answer, once for each row", async () => {
  const selected = [
    selectedOf(CONVERSATION, { id: "1", trial: 0, row: { answer: 4 } }),
    selectedOf(CONVERSATION, { id: "1", trial: 1 }),
    selectedOf(CONVERSATION, { id: "2", row: {} }),
    { ...selectedOf(CONVERSATION, { id: "1" }), run: manifestOf({ name: "other" }) },
  ];
  const { examples, rows } = await written(trlPrompt, selected);
  expect(examples).toEqual([1, 0, 1, 1]);
  expect(rows.slice(0, 2)).toEqual([
    {
      prompt: CONVERSATION.turns.slice(0, 2).map(templateMessage),
      tools: JSON.stringify([TOOL]),
      ground_truth: "4",
      id: "1",
      row: { answer: 4 },
    },
    expect.objectContaining({ id: "2", ground_truth: null, row: {} }),
  ]);
});

test("a conversation that begins with an answer has no prompt, and is counted", async () => {
  const turns = [assistant("a")];
  expect(await written(trlPrompt, [selectedOf({ turns, tools: [] })])).toEqual({
    examples: [0],
    rows: [],
    omitted: { examples_without_prompt: 1 },
  });
});

test("the columns of prompts are declared", () => {
  expect(trlPrompt.columns(formatOptions({ media: new Set(["image"]) }))).toEqual({
    prompt: { list: "message" },
    tools: "string",
    ground_truth: "string",
    id: "string",
    row: "json",
    images: { list: "image" },
  });
});
