import { expect, test } from "bun:test";
import { msSwift } from "../../../src/export/formats/ms-swift.ts";
import {
  assistant,
  CALL,
  CONVERSATION,
  formatOptions,
  selectedOf,
  TOOL,
  tool,
  user,
  written,
} from "../made.ts";

const FIND = '{"name":"find","arguments":{"n":1.0}}';

test("an example for ms-swift has a message for each call and each result", async () => {
  expect(await written(msSwift, [selectedOf(CONVERSATION)])).toEqual({
    examples: [1],
    rows: [
      {
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Who?" },
          { role: "assistant", content: "<think>\nI look.\n</think>\n\n" },
          { role: "tool_call", content: FIND },
          { role: "tool_response", content: "Ann" },
          { role: "assistant", content: "Ann." },
        ],
        tools: JSON.stringify([TOOL]),
      },
    ],
  });
});

test("parallel calls for ms-swift stand after their text, with results in their order", async () => {
  const broken = { ...CALL, id: "c2", function: { name: "see", arguments: "{n" } };
  const turns = [
    user("Who?"),
    assistant("Wait.", { tool_calls: [CALL, broken] }),
    { ...tool("second"), tool_call_id: "c2" },
    { ...tool("first"), tool_call_id: "c1" },
    assistant(null, { tool_calls: [CALL] }),
  ];
  const { rows } = await written(msSwift, [selectedOf({ turns, tools: [] })]);
  expect(rows).toEqual([
    {
      messages: [
        { role: "user", content: "Who?" },
        { role: "assistant", content: "Wait." },
        { role: "tool_call", content: FIND },
        { role: "tool_call", content: '{"name":"see","arguments":"{n"}' },
        { role: "tool_response", content: "first" },
        { role: "tool_response", content: "second" },
        { role: "tool_call", content: FIND },
      ],
    },
  ]);
});

test("messages for ms-swift say if they are trained on when only some are", async () => {
  const { rows } = await written(msSwift, [selectedOf(CONVERSATION)], { masked: true });
  const messages = rows[0]?.["messages"] as { role: string; loss: boolean }[];
  expect(messages.map(({ role, loss }) => [role, loss])).toEqual([
    ["system", false],
    ["user", false],
    ["assistant", false],
    ["tool_call", false],
    ["tool_response", false],
    ["assistant", true],
  ]);
});

test("media for ms-swift are columns, with their places in the text; details are counted", async () => {
  const media = [
    { kind: "audio", url: "data:audio/wav;base64,UklGRg==" },
    { kind: "image", url: "data:image/png;base64,iVBO" },
  ] as const;
  const turns = [
    { ...user("What?"), media },
    assistant(null, { reasoning_details: { thinking_blocks: [] } }),
  ];
  const { rows, omitted } = await written(msSwift, [selectedOf({ turns, tools: [] })], {
    media: new Set(["image", "audio"]),
  });
  expect(rows).toEqual([
    {
      messages: [
        { role: "user", content: "What?<audio><image>" },
        { role: "assistant", content: "" },
      ],
      images: ["data:image/png;base64,iVBO"],
      audios: ["data:audio/wav;base64,UklGRg=="],
    },
  ]);
  expect(omitted).toEqual({ reasoning_details: 1 });
});

test("the columns for ms-swift have a loss when only some turns are trained on", () => {
  const message = { role: "string", content: "string" } as const;
  expect(msSwift.columns(formatOptions())).toEqual({
    messages: { list: { struct: message } },
    tools: "string",
  });
  expect(msSwift.columns(formatOptions({ masked: true }))).toEqual({
    messages: { list: { struct: { ...message, loss: "bool" } } },
    tools: "string",
  });
});
