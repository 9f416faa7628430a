import { expect, test } from "bun:test";
import { trlSft } from "../../../src/export/formats/trl-sft.ts";
import { templateMessage } from "../../../src/export/messages.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import { assistant, CONVERSATION, formatOptions, selectedOf, user, written } from "../made.ts";

// As they stand in a file: numbers keep their text only there.
const MESSAGES = JSON.parse(JSON.stringify(CONVERSATION.turns.map(templateMessage)));
const TOOLS = '[{"type":"function","function":{"name":"find"}}]';

test("an example for SFTTrainer is the whole conversation, with its tools as text", async () => {
  expect(await written(trlSft, [selectedOf(CONVERSATION)])).toEqual({
    examples: [1],
    rows: [{ messages: MESSAGES, tools: TOOLS }],
  });
  expect(trlSft.columns(formatOptions({ masked: false }))).toEqual({
    messages: { list: "message" },
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
  expect(trlSft.columns(formatOptions({ masked: true }))).toEqual({
    prompt: { list: "message" },
    completion: { list: "message" },
    tools: "string",
  });
});

test("examples for SFTTrainer are the same in Parquet", async () => {
  const { rows } = await written(trlSft, [selectedOf(CONVERSATION)], { ending: ".parquet" });
  expect(rows).toEqual([{ messages: MESSAGES, tools: TOOLS }]);
});

test("a trained turn without any turn before it is no example, and is counted", async () => {
  const turns = [assistant("1"), user("2"), assistant("3")];
  const { examples, omitted } = await written(trlSft, [selectedOf({ turns, tools: [] })], {
    masked: true,
  });
  expect(examples).toEqual([1]);
  expect(omitted).toEqual({ examples_without_prompt: 1 });
});

const IMAGE = { kind: "image", url: "data:image/png;base64,iVBORw0KGgo=" } as const;
const AUDIO = { kind: "audio", url: "data:audio/wav;base64,UklGRg==" } as const;
const SEEN = [
  { ...user("What is it?"), media: [IMAGE, AUDIO, IMAGE] },
  assistant("A cat.", { reasoning_details: { thinking_blocks: [{ thinking: "t" }] } }),
];

test("images for SFTTrainer are a column, with a part for each in the message", async () => {
  const media = new Set(["image", "audio"] as const);
  const { rows, omitted } = await written(trlSft, [selectedOf({ turns: SEEN, tools: [] })], {
    media,
  });
  expect(rows).toEqual([
    {
      messages: [
        {
          role: "user",
          content: [{ type: "text", text: "What is it?" }, { type: "image" }, { type: "image" }],
        },
        { role: "assistant", content: "A cat." },
      ],
      tools: "[]",
      images: [IMAGE.url, IMAGE.url],
    },
  ]);
  expect(omitted).toEqual({ audio: 1, reasoning_details: 1 });
  expect(trlSft.columns(formatOptions({ media }))).toEqual({
    messages: { list: "message" },
    tools: "string",
    images: { list: "image" },
  });
});

test("an example with nothing but audio is text for SFTTrainer", async () => {
  const turns = [{ ...user("What is it?"), media: [AUDIO] }, assistant("A cat.")];
  const { rows, omitted } = await written(trlSft, [selectedOf({ turns, tools: [] })], {
    media: new Set(["audio"]),
  });
  expect(rows[0]).toEqual({
    messages: [
      { role: "user", content: "What is it?" },
      { role: "assistant", content: "A cat." },
    ],
    tools: "[]",
  });
  expect(omitted).toEqual({ audio: 1 });
});

test("images for SFTTrainer are bytes in Parquet", async () => {
  const { rows } = await written(trlSft, [selectedOf({ turns: SEEN, tools: [] })], {
    media: new Set(["image"]),
    ending: ".parquet",
  });
  const [first, second] = (rows[0]?.["images"] ?? []) as { readonly path: string }[];
  expect(first).toEqual(second as never);
  expect(first?.path).toMatch(/^[0-9a-f]{16}\.png$/);
});

test("columns of structs have messages of one shape, with the arguments of calls as text", async () => {
  for (const ending of [".jsonl", ".parquet"]) {
    const { rows } = await written(trlSft, [selectedOf(CONVERSATION)], { structs: true, ending });
    const [, asked, called, found] = (rows[0]?.["messages"] ?? []) as readonly JsonObject[];
    const none = { reasoning_content: null, tool_calls: null, tool_call_id: null };
    expect(asked).toEqual({ ...none, role: "user", content: "Who?" });
    expect(called).toEqual({
      role: "assistant",
      content: "",
      reasoning_content: "I look.",
      tool_calls: [
        { id: "c1", type: "function", function: { name: "find", arguments: '{"n":1.0}' } },
      ],
      tool_call_id: null,
    });
    expect(found).toEqual({ ...none, role: "tool", content: "Ann", tool_call_id: "c1" });
  }
});
