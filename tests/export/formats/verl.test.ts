import { expect, test } from "bun:test";
import { verl, verlSft } from "../../../src/export/formats/verl.ts";
import { assistant, CONVERSATION, formatOptions, selectedOf, user, written } from "../made.ts";

const IMAGE = { kind: "image", url: "data:image/png;base64,iVBORw0KGgo=" } as const;
const AUDIO = { kind: "audio", url: "data:audio/wav;base64,UklGRg==" } as const;
const SEEN = {
  turns: [{ ...user("What?"), media: [IMAGE, AUDIO] }, assistant("A cat.")],
  tools: [],
};
const BOTH = new Set(["image", "audio"] as const);

test("an example for verl has the prompt, the right answer and what tells where it is from", async () => {
  const row = { answer: 4, data_source: "gsm8k", ability: "math" };
  const selected = [
    selectedOf(CONVERSATION, { id: "a", row }, 5),
    selectedOf(CONVERSATION, { id: "a", trial: 1, row }, 6),
    selectedOf({ ...CONVERSATION, tools: [] }, { id: "b", row: { n: 1 } }, 7),
  ];
  expect(await written(verl, selected)).toEqual({
    examples: [1, 0, 1],
    rows: [
      {
        data_source: "gsm8k",
        prompt: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Who?" },
        ],
        ability: "math",
        reward_model: { style: "rule", ground_truth: "4" },
        agent_name: "tool_agent",
        extra_info: {
          ...{ split: "train", index: 5, id: "a", row: JSON.stringify(row) },
          ...{ need_tools_kwargs: false, tools: JSON.stringify(CONVERSATION.tools) },
        },
      },
      {
        data_source: "talk",
        prompt: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Who?" },
        ],
        ability: "",
        reward_model: { style: "model", ground_truth: "" },
        agent_name: "single_turn_agent",
        extra_info: {
          ...{ split: "train", index: 7, id: "b", row: '{"n":1}' },
          ...{ need_tools_kwargs: false, tools: "[]" },
        },
      },
    ],
  });
});

test("images and audio for verl are columns, with their places in the text", async () => {
  const { rows, omitted } = await written(verl, [selectedOf(SEEN)], { media: BOTH });
  expect(omitted).toBeUndefined();
  expect(rows[0]).toMatchObject({
    prompt: [{ role: "user", content: "What?<image><audio>" }],
    images: [{ path: expect.stringMatching(/\.png$/) }],
    audios: [{ path: expect.stringMatching(/\.wav$/) }],
  });
});

test("a conversation without a prompt is no example for verl, and is counted", async () => {
  const { examples, omitted } = await written(verl, [
    selectedOf({ turns: [assistant("a")], tools: [] }),
  ]);
  expect(examples).toEqual([0]);
  expect(omitted).toEqual({ examples_without_prompt: 1 });
});

test("an example for verl's fine-tuning is the conversation as structs", async () => {
  const { rows, omitted } = await written(verlSft, [selectedOf(CONVERSATION)]);
  const none = { reasoning_content: null, tool_calls: null, tool_call_id: null };
  expect(rows).toEqual([
    {
      messages: [
        { ...none, role: "system", content: "Be brief." },
        { ...none, role: "user", content: "Who?" },
        {
          role: "assistant",
          content: "",
          reasoning_content: "I look.",
          tool_calls: [
            { id: "c1", type: "function", function: { name: "find", arguments: '{"n":  1.0}' } },
          ],
          tool_call_id: null,
        },
        { ...none, role: "tool", content: "Ann", tool_call_id: "c1" },
        { ...none, role: "assistant", content: "Ann." },
      ],
    },
  ]);
  // One turn is not to be trained on, but verl trains on every answer.
  expect(omitted).toEqual({ tools: 1, untrained_marks: 1 });
});

test("images for verl's fine-tuning are a column; audio and details are counted", async () => {
  const turns = [
    ...SEEN.turns.slice(0, 1),
    assistant("A cat.", { reasoning_details: { thinking_blocks: [] } }),
  ];
  const { rows, omitted } = await written(verlSft, [selectedOf({ turns, tools: [] })], {
    media: BOTH,
  });
  expect(rows[0]).toMatchObject({
    messages: [{ content: "What?<image>" }, { content: "A cat." }],
    images: [{ path: expect.stringMatching(/\.png$/) }],
  });
  expect(omitted).toEqual({ audio: 1, reasoning_details: 1 });
});

test("the columns for verl are structs without JSON", () => {
  expect(verl.columns(formatOptions({ media: BOTH }))).toEqual({
    data_source: "string",
    prompt: { list: { struct: { role: "string", content: "string" } } },
    ability: "string",
    reward_model: { struct: { style: "string", ground_truth: "string" } },
    agent_name: "string",
    extra_info: {
      struct: {
        ...{ split: "string", index: "int64", id: "string", row: "string" },
        ...{ need_tools_kwargs: "bool", tools: "string" },
      },
    },
    images: { list: "image" },
    audios: { list: "audio" },
  });
  expect(Object.keys(verlSft.columns(formatOptions({ media: BOTH })) ?? {})).toEqual([
    "messages",
    "images",
  ]);
});
