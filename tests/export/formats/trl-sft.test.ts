import { expect, test } from "bun:test";
import { trlSft } from "../../../src/export/formats/trl-sft.ts";
import { templateMessage } from "../../../src/export/messages.ts";
import { assistant, CONVERSATION, selectedOf, user, written } from "../made.ts";

// As they stand in a file: numbers keep their text only there.
const MESSAGES = JSON.parse(JSON.stringify(CONVERSATION.turns.map(templateMessage)));
const TOOLS = '[{"type":"function","function":{"name":"find"}}]';

test("an example for SFTTrainer is the whole conversation, with its tools as text", async () => {
  expect(await written(trlSft, [selectedOf(CONVERSATION)])).toEqual({
    examples: [1],
    rows: [{ messages: MESSAGES, tools: TOOLS }],
  });
  expect(trlSft.columns({ masked: false })).toEqual({
    messages: { list: "json" },
    tools: "string",
  });
});

test("each trained turn is an example for SFTTrainer when only some are trained on", async () => {
  const turns = [user("1"), assistant("2"), user("3"), assistant("4", { trained: false })];
  const more = [...turns, user("5"), assistant("6")];
  const messages = more.map(templateMessage);
  expect(await written(trlSft, [selectedOf({ turns: more, tools: [] })], { masked: true })).toEqual(
    {
      examples: [2],
      rows: [
        { prompt: messages.slice(0, 1), completion: messages.slice(1, 2), tools: "[]" },
        { prompt: messages.slice(0, 5), completion: messages.slice(5, 6), tools: "[]" },
      ],
    },
  );
  expect(trlSft.columns({ masked: true })).toEqual({
    prompt: { list: "json" },
    completion: { list: "json" },
    tools: "string",
  });
});

test("examples for SFTTrainer are the same in Parquet", async () => {
  const { rows } = await written(trlSft, [selectedOf(CONVERSATION)], { ending: ".parquet" });
  expect(rows).toEqual([{ messages: MESSAGES, tools: TOOLS }]);
});
