import { expect, test } from "bun:test";
import { openai } from "../../../src/export/formats/openai.ts";
import { CALL, CONVERSATION, selectedOf, TOOL, written } from "../made.ts";

const CALLING = { role: "assistant", content: null, tool_calls: [CALL] };
const OTHERS = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Who?" },
];
const FOUND = { role: "tool", content: "Ann", tool_call_id: "c1" };
const SAID = { role: "assistant", content: "Ann." };

test("an example for OpenAI has messages without reasoning, and its tools as a list", async () => {
  expect(await written(openai, [selectedOf(CONVERSATION)])).toEqual({
    examples: [1],
    rows: [{ messages: [...OTHERS, CALLING, FOUND, SAID], tools: [TOOL] }],
  });
});

test("an example for OpenAI without tools has no such member", async () => {
  const { rows } = await written(openai, [selectedOf({ ...CONVERSATION, tools: [] })]);
  expect(Object.keys(rows[0] ?? {})).toEqual(["messages"]);
});

test("assistant turns for OpenAI have a weight when only some turns are trained on", async () => {
  const { rows } = await written(openai, [selectedOf(CONVERSATION)], { masked: true });
  expect(rows[0]?.["messages"]).toEqual([
    ...OTHERS,
    { ...CALLING, weight: 0 },
    FOUND,
    { ...SAID, weight: 1 },
  ]);
});

test("the columns for OpenAI are declared as JSON", () => {
  expect(openai.columns({ masked: false })).toEqual({
    messages: { list: "json" },
    tools: { list: "json" },
  });
});
