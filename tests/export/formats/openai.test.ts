import { expect, test } from "bun:test";
import { openai } from "../../../src/export/formats/openai.ts";
import {
  assistant,
  CALL,
  CONVERSATION,
  formatOptions,
  selectedOf,
  TOOL,
  user,
  written,
} from "../made.ts";

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
    omitted: { reasoning: 1 },
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

test("images and audio stand in the messages for OpenAI, as its chat API takes them", async () => {
  const media = [
    { kind: "image", url: "data:image/png;base64,iVBO" },
    { kind: "image", url: "https://example.org/a.png" },
    { kind: "audio", url: "data:audio/mp3;base64,SUQz" },
  ] as const;
  const turns = [{ ...user("Who?"), media }, assistant("Ann.", { reasoning_details: { d: [1] } })];
  expect(await written(openai, [selectedOf({ turns, tools: [] })])).toEqual({
    examples: [1],
    rows: [
      {
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "Who?" },
              { type: "image_url", image_url: { url: "data:image/png;base64,iVBO" } },
              { type: "image_url", image_url: { url: "https://example.org/a.png" } },
              { type: "input_audio", input_audio: { data: "SUQz", format: "mp3" } },
            ],
          },
          SAID,
        ],
      },
    ],
    omitted: { reasoning_details: 1 },
  });
});

test("the columns for OpenAI are declared as JSON", () => {
  expect(openai.columns(formatOptions({ masked: false }))).toEqual({
    messages: { list: "message" },
    tools: { list: "json" },
  });
});
