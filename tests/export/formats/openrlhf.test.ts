import { expect, test } from "bun:test";
import { openrlhf } from "../../../src/export/formats/openrlhf.ts";
import { templateMessage } from "../../../src/export/messages.ts";
import { assistant, CONVERSATION, formatOptions, selectedOf, user, written } from "../made.ts";

const MESSAGES = JSON.parse(JSON.stringify(CONVERSATION.turns.map(templateMessage)));

test("an example for OpenRLHF has the conversation, its prompt and the right answer", async () => {
  expect(await written(openrlhf, [selectedOf(CONVERSATION, { row: { answer: 4 } })])).toEqual({
    examples: [1],
    rows: [{ messages: MESSAGES, prompt: MESSAGES.slice(0, 2), label: "4", datasource: "talk" }],
    omitted: { tools: 1 },
  });
});

test("each trained turn ends an example for OpenRLHF when only some are trained on", async () => {
  const turns = [user("1"), assistant("2"), user("3"), assistant("4", { trained: false })];
  const more = [...turns, user("5"), assistant("6")];
  const { rows } = await written(openrlhf, [selectedOf({ turns: more, tools: [] })], {
    masked: true,
  });
  expect(rows.map(({ messages }) => (messages as unknown[]).length)).toEqual([2, 6]);
  expect(rows[0]).toMatchObject({ prompt: [{ content: "1" }], label: "" });
});

test("images for OpenRLHF are a column, with their places in the text; audio is counted", async () => {
  const media = [
    { kind: "image", url: "https://example.org/a.png" },
    { kind: "audio", url: "data:audio/wav;base64,UklGRg==" },
  ] as const;
  const turns = [
    { ...user("What?"), media },
    assistant("A cat.", { reasoning_content: "r", reasoning_details: { thinking_blocks: [] } }),
  ];
  const { rows, omitted } = await written(openrlhf, [selectedOf({ turns, tools: [] })], {
    media: new Set(["image", "audio"]),
  });
  const asked = { role: "user", content: "What?<image>" };
  expect(rows).toEqual([
    {
      messages: [
        asked,
        { role: "assistant", content: "A cat.", reasoning_content: "r", thinking: "r" },
      ],
      prompt: [asked],
      label: "",
      datasource: "talk",
      images: ["https://example.org/a.png"],
    },
  ]);
  expect(omitted).toEqual({ audio: 1, reasoning_details: 1 });
});

test("the columns for OpenRLHF are declared", () => {
  expect(openrlhf.columns(formatOptions())).toEqual({
    messages: { list: "message" },
    prompt: { list: "message" },
    label: "string",
    datasource: "string",
  });
});
