import { expect, test } from "bun:test";
import { sharegpt } from "../../../src/export/formats/sharegpt.ts";
import { assistant, CALL, CONVERSATION, selectedOf, system, user, written } from "../made.ts";

test("an example of ShareGPT has turns, with system prompt and tools beside them", async () => {
  expect(await written(sharegpt, [selectedOf(CONVERSATION)])).toEqual({
    examples: [1],
    rows: [
      {
        conversations: [
          { from: "human", value: "Who?" },
          { from: "function_call", value: '{"name":"find","arguments":{"n":1}}' },
          { from: "observation", value: "Ann" },
          { from: "gpt", value: "Ann." },
        ],
        system: "Be brief.",
        tools: '[{"type":"function","function":{"name":"find"}}]',
      },
    ],
  });
});

test("an example of ShareGPT without system prompt and tools has empty text for them", async () => {
  const turns = [user("Who?"), assistant(null)];
  const { rows } = await written(sharegpt, [selectedOf({ turns, tools: [] })]);
  expect(rows).toEqual([
    {
      conversations: [
        { from: "human", value: "Who?" },
        { from: "gpt", value: "" },
      ],
      system: "",
      tools: "",
    },
  ]);
});

test("a system turn that is not the first stays among the turns of ShareGPT", async () => {
  const turns = [user("Who?"), system("Now."), assistant("Ann.")];
  const { rows } = await written(sharegpt, [selectedOf({ turns, tools: [] })]);
  expect(rows[0]?.["conversations"]).toEqual([
    { from: "human", value: "Who?" },
    { from: "system", value: "Now." },
    { from: "gpt", value: "Ann." },
  ]);
});

test("several calls of ShareGPT are a list; arguments that are not JSON stay text", async () => {
  const broken = { ...CALL, function: { name: "f", arguments: "{n" } };
  const turns = [assistant(null, { tool_calls: [CALL, broken] })];
  const { rows } = await written(sharegpt, [selectedOf({ turns, tools: [] })]);
  expect(rows[0]?.["conversations"]).toEqual([
    {
      from: "function_call",
      value: '[{"name":"find","arguments":{"n":1}},{"name":"f","arguments":"{n"}]',
    },
  ]);
});

test("turns of ShareGPT say whether they are trained on when only some are", async () => {
  const { rows } = await written(sharegpt, [selectedOf(CONVERSATION)], { masked: true });
  const turns = rows[0]?.["conversations"] as { train: boolean }[];
  expect(turns.map(({ train }) => train)).toEqual([false, false, false, true]);
});

test("the columns of ShareGPT have the train flag only when only some turns are trained on", () => {
  const turn = { from: "string", value: "string" } as const;
  const rest = { system: "string", tools: "string" } as const;
  expect(sharegpt.columns({ masked: false })).toEqual({
    conversations: { list: { struct: turn } },
    ...rest,
  });
  expect(sharegpt.columns({ masked: true })).toEqual({
    conversations: { list: { struct: { ...turn, train: "bool" } } },
    ...rest,
  });
});
