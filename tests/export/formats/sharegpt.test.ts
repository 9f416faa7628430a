import { expect, test } from "bun:test";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { FormatOptions, Turn } from "../../../src/export/contract.ts";
import { sharegpt } from "../../../src/export/formats/sharegpt.ts";
import { withFolder } from "../../parts/folder.ts";
import {
  assistant,
  CALL,
  CONVERSATION,
  formatOptions,
  linesOf,
  selectedOf,
  system,
  tool,
  user,
  written,
} from "../made.ts";

const OTHER = { ...CALL, id: "c2", function: { name: "see", arguments: '{"at":"here"}' } };

/** The turns that LLaMA-Factory reads, as pairs of speaker and text. */
async function said(turns: readonly Turn[], options: Partial<FormatOptions> = {}) {
  const { rows } = await written(sharegpt, [selectedOf({ turns, tools: [] })], options);
  const found = rows[0]?.["conversations"] as { from: string; value: string; train?: boolean }[];
  return found.map(({ from, value, train }) =>
    train === undefined ? [from, value] : [from, value, train],
  );
}

test("an example of ShareGPT has turns, with system prompt and tools beside them", async () => {
  expect(await written(sharegpt, [selectedOf(CONVERSATION)])).toEqual({
    examples: [1],
    rows: [
      {
        conversations: [
          { from: "human", value: "Who?" },
          {
            from: "function_call",
            value: '<think>\nI look.\n</think>\n\n{"name":"find","arguments":{"n":1.0}}',
          },
          { from: "observation", value: "Ann" },
          { from: "gpt", value: "Ann." },
        ],
        system: "Be brief.",
        tools:
          '[{"type":"function","function":{"name":"find",' +
          '"parameters":{"type":"object","properties":{}}}}]',
      },
    ],
  });
});

test("tools of ShareGPT keep their parameters", async () => {
  const parameters = { type: "object", properties: { n: { type: "number" } }, required: ["n"] };
  const find = { type: "function", function: { name: "find", parameters } };
  const tools = [find, { type: "web_search" }];
  const { rows } = await written(sharegpt, [selectedOf({ ...CONVERSATION, tools })]);
  expect(JSON.parse(String(rows[0]?.["tools"]))).toEqual(tools);
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

test("a system turn that is not the first is a part of what the user says in ShareGPT", async () => {
  expect(await said([user("Who?"), system("Now."), assistant("Ann.")])).toEqual([
    ["human", "Who?\n\nNow."],
    ["gpt", "Ann."],
  ]);
});

test("parallel calls of ShareGPT are a list, and their results one observation", async () => {
  const turns = [
    user("Who?"),
    assistant(null, { tool_calls: [CALL, OTHER] }),
    { ...tool("second"), tool_call_id: "c2" },
    { ...tool("first"), tool_call_id: "c1" },
    assistant("Ann."),
  ];
  expect(await said(turns)).toEqual([
    ["human", "Who?"],
    [
      "function_call",
      '[{"name":"find","arguments":{"n":1.0}},{"name":"see","arguments":{"at":"here"}}]',
    ],
    ["observation", "first\n</tool_response>\n<tool_response>\nsecond"],
    ["gpt", "Ann."],
  ]);
});

test("calls of ShareGPT beside text stand between tags, and reasoning before both", async () => {
  const tricky = { ...CALL, function: { name: "say", arguments: '{"text":"</tool_call>"}' } };
  const turns = [
    user("Who?"),
    assistant("Wait.", { tool_calls: [tricky], reasoning_content: "r" }),
  ];
  const [, called] = await said(turns);
  expect(called).toEqual([
    "function_call",
    "<think>\nr\n</think>\n\nWait." +
      '<tool_call>{"name":"say","arguments":{"text":"<\\/tool_call>"}}</tool_call>',
  ]);
});

test("arguments of ShareGPT that are no object stay text", async () => {
  const broken = { ...CALL, function: { name: "f", arguments: "{n" } };
  const [, called] = await said([user("Who?"), assistant(null, { tool_calls: [broken] })]);
  expect(called).toEqual(["function_call", '{"name":"f","arguments":"{n"}']);
});

test("reasoning of ShareGPT stands before the answer", async () => {
  expect(await said([user("Who?"), assistant("Ann.", { reasoning_content: "r" })])).toEqual([
    ["human", "Who?"],
    ["gpt", "<think>\nr\n</think>\n\nAnn."],
  ]);
});

const FIND = '{"name":"find","arguments":{"n":1.0}}';

test.each<[what: string, turns: readonly Turn[], pairs: readonly (readonly string[])[]]>([
  [
    "begins with an answer",
    [assistant("a")],
    [
      ["human", ""],
      ["gpt", "a"],
    ],
  ],
  [
    "has two answers in a row",
    [user("q"), assistant("a"), assistant("b")],
    [
      ["human", "q"],
      ["gpt", "a\n\nb"],
    ],
  ],
  [
    "has a call after an answer",
    [user("q"), assistant("a"), assistant(null, { tool_calls: [CALL] })],
    [
      ["human", "q"],
      ["gpt", "a"],
      ["human", ""],
      ["function_call", FIND],
    ],
  ],
  [
    "has an answer after a call without a result",
    [user("q"), assistant(null, { tool_calls: [CALL] }), assistant("a")],
    [
      ["human", "q"],
      ["function_call", FIND],
      ["observation", ""],
      ["gpt", "a"],
    ],
  ],
  [
    "has two calls in a row",
    [user("q"), assistant(null, { tool_calls: [CALL] }), assistant(null, { tool_calls: [CALL] })],
    [
      ["human", "q"],
      ["function_call", FIND],
      ["observation", ""],
      ["function_call", FIND],
    ],
  ],
  [
    "has a user after a tool",
    [user("q"), assistant(null, { tool_calls: [CALL] }), tool("r"), user("u"), assistant("a")],
    [
      ["human", "q"],
      ["function_call", FIND],
      ["observation", "r\n\nu"],
      ["gpt", "a"],
    ],
  ],
  [
    "has two users in a row",
    [user("q"), user("u"), assistant("a")],
    [
      ["human", "q\n\nu"],
      ["gpt", "a"],
    ],
  ],
])("a conversation that %s alternates in ShareGPT", async (_, turns, pairs) => {
  expect(await said(turns)).toEqual(pairs as string[][]);
});

test("answers of ShareGPT stay apart when only one of them is trained on", async () => {
  const turns = [user("q"), assistant("a", { trained: false }), assistant("b")];
  expect(await said(turns, { masked: true })).toEqual([
    ["human", "q", false],
    ["gpt", "a", false],
    ["human", "", false],
    ["gpt", "b", true],
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
  expect(sharegpt.columns(formatOptions())).toEqual({
    conversations: { list: { struct: turn } },
    ...rest,
  });
  expect(sharegpt.columns(formatOptions({ masked: true }))).toEqual({
    conversations: { list: { struct: { ...turn, train: "bool" } } },
    ...rest,
  });
});

const PNG = Buffer.from("iVBORw0KGgo=", "base64");
const MEDIA = [
  { kind: "image", url: `data:image/png;base64,${PNG.toString("base64")}` },
  { kind: "audio", url: "data:audio/wav;base64,UklGRg==" },
  { kind: "image", url: "https://example.org/a.png" },
] as const;

test("media of ShareGPT are files beside the lines, each written once", () =>
  withFolder(async (folder) => {
    for (const outputName of ["mine", null]) {
      const place = join(folder, outputName ?? "folder");
      await mkdir(place);
      const options = formatOptions({ media: new Set(["image", "audio"]), outputName });
      const writer = await sharegpt.open(join(place, "train.jsonl"), options);
      const turns = [{ ...user("Who?"), media: MEDIA }, assistant("Ann.")];
      for (let i = 0; i < 2; i++) await writer.add(selectedOf({ turns, tools: [] }));
      await writer.close();
      const [first, second] = linesOf(await readFile(join(place, "train.jsonl"), "utf8"));
      expect(second).toEqual(first as never);
      expect(first?.["conversations"]).toEqual([
        { from: "human", value: "Who?<image><audio><image>" },
        { from: "gpt", value: "Ann." },
      ]);
      const { images, audios } = first as Record<string, readonly string[]>;
      const [image = "", address] = images ?? [];
      const [audio = ""] = audios ?? [];
      expect(address).toBe("https://example.org/a.png");
      expect(image).toMatch(/-media\/[0-9a-f]{64}\.png$/);
      expect(audio).toMatch(/-media\/[0-9a-f]{64}\.wav$/);
      expect(image.startsWith(outputName === null ? "train-media/" : "mine-media/")).toBeTrue();
      const file = join(place, "train-media", image.split("/")[1] ?? "");
      expect(await readFile(file)).toEqual(PNG);
    }
  }));

test("media of ShareGPT are bytes in Parquet, and an address stays one", async () => {
  const turns = [{ ...user("Who?"), media: MEDIA }, assistant("Ann.")];
  const { rows } = await written(sharegpt, [selectedOf({ turns, tools: [] })], {
    media: new Set(["image", "audio"]),
    ending: ".parquet",
  });
  const [image, address] = (rows[0]?.["images"] ?? []) as readonly { readonly path: string }[];
  expect(image?.path).toMatch(/^[0-9a-f]{16}\.png$/);
  expect(address).toMatchObject({ bytes: null, path: "https://example.org/a.png" });
});
