// The scripted model: its replies per row, role and turn, and what it says of a script that is
// wrong.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MatrixError } from "../../src/error.ts";
import type { ChatRequest, RequestOrigin } from "../../src/model/contract.ts";
import { withFolder } from "../parts/folder.ts";
import { openModel } from "./opened.ts";

const patient = new AbortController().signal;

const asked = (origin: Partial<RequestOrigin> | null): ChatRequest => ({
  messages: [{ role: "user", content: "hello" }],
  seed: 1,
  sampling: {},
  origin:
    origin === null
      ? null
      : { row: "a", trial: 0, attempt: 1, role: "student", turn: 0, ...origin },
});

async function withScript<T>(
  text: string,
  use: (create: () => ReturnType<typeof openModel>) => Promise<T>,
): Promise<T> {
  return await withFolder(async (folder) => {
    const replies = join(folder, "script.jsonl");
    await writeFile(replies, text);
    const config = {
      kind: "scripted",
      replies,
      latency: { kind: "constant", value: 0 },
      concurrency: 10,
    } as const;
    return await use(() => openModel("m", config));
  });
}

const CALL =
  '{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 1.0}"}}';

test("a script has a reply for each row, role and turn, kept to the letter", async () => {
  const script = `{"id": "a", "replies": {"student": ["A", {"tool_calls": [${CALL}]}], "teacher": ["no"]}}\n\n{"id": 7, "replies": {"student": ["B"]}}\n`;
  await withScript(script, async (create) => {
    const model = await create();
    expect(model).toMatchObject({ id: "scripted:m", simulated: true });
    const said = async (origin: Partial<RequestOrigin>) =>
      (await model.chat(asked(origin), patient)).message;
    expect(await said({})).toEqual({ role: "assistant", content: "A" });
    expect(await said({ turn: 1 })).toEqual({
      role: "assistant",
      content: null,
      tool_calls: [JSON.parse(CALL)],
    });
    expect((await said({ turn: 1 }))["tool_calls"]).toMatchObject([
      { function: { arguments: '{"a": 1.0}' } },
    ]);
    expect(await said({ role: "teacher", trial: 3 })).toEqual({
      role: "assistant",
      content: "no",
    });
    expect(await said({ row: "7" })).toEqual({ role: "assistant", content: "B" });
  });
});

test("the line for a trial is preferred to the line for its row", async () => {
  const script =
    '{"id": "a", "replies": {"student": ["any"]}}\n{"id": "a", "trial": 1, "replies": {"student": ["second"]}}';
  await withScript(script, async (create) => {
    const model = await create();
    const said = async (trial: number) =>
      (await model.chat(asked({ trial }), patient)).message.content;
    expect([await said(0), await said(1), await said(2)]).toEqual(["any", "second", "any"]);
  });
});

test("a scripted reply counts one request and the tokens of its text", async () => {
  await withScript('{"id": "a", "replies": {"student": ["12345678"]}}', async (create) => {
    const answer = await (await create()).chat(asked({}), patient);
    expect(answer).toMatchObject({
      finishReason: "stop",
      usage: { requests: 1, prompt_tokens: 6, completion_tokens: 2 },
    });
  });
});

test("a reply that the script lacks is an error that says what it has", async () => {
  await withScript('{"id": "a", "replies": {"student": ["A"]}}', async (create) => {
    const model = await create();
    for (const [origin, words] of [
      [{ turn: 1 }, "has 1 replies of student for row a, trial 0; asked for reply 2"],
      [{ role: "teacher" }, "has 0 replies of teacher"],
      [{ row: "b" }, "has nothing for row b"],
      [null, "has replies for the steps of roles only"],
    ] as const) {
      const failure = await model.chat(asked(origin), patient).catch((thrown: unknown) => thrown);
      expect(failure).toBeInstanceOf(MatrixError);
      expect(failure).toMatchObject({
        code: "model_refused_request",
        message: expect.stringContaining(words),
      });
    }
  });
});

test("every wrong line of a script is named with its problem", async () => {
  const lines = [
    "{",
    "[]",
    '{"replies": {}}',
    '{"id": "a", "replies": []}',
    '{"id": "b", "replies": {"student": [1]}}',
    '{"id": "c", "replies": {"student": [{"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}]}}',
    '{"id": "d", "replies": {}}',
    '{"id": "d", "replies": {}}',
  ];
  await withScript(lines.join("\n"), async (create) => {
    const failure = (await create().catch((thrown: unknown) => thrown)) as MatrixError;
    expect(failure.code).toBe("recipe_invalid");
    expect(failure.problems.map(({ line, message }) => [line, message])).toEqual([
      [1, expect.stringMatching(/^it is not JSON: /)],
      [2, "it is not an object"],
      [3, "it has no id of a row"],
      [4, "it has no replies by role"],
      [5, "reply 1 of student is neither text nor a message with text arguments"],
      [6, "reply 1 of student is neither text nor a message with text arguments"],
      [8, "row d is there twice"],
    ]);
    expect(failure.message).toEndWith("script.jsonl is not a script");
  });
});

const message = (reply: unknown) => JSON.stringify({ id: "a", replies: { r: ["A", reply] } });
const call = (more: object) => ({ id: "c", function: { name: "f", arguments: "{}" }, ...more });
const wrongReplies: readonly unknown[] = [
  5,
  null,
  [],
  { content: 5 },
  { tool_calls: [] },
  { tool_calls: "f" },
  { tool_calls: [5] },
  { tool_calls: [call({ id: 5 })] },
  { tool_calls: [call({ function: { name: 5, arguments: "{}" } })] },
  { tool_calls: [call({ function: { name: "f" } })] },
  { tool_calls: [call({}), call({ function: "f" })] },
];
for (const reply of wrongReplies) {
  test(`a reply ${JSON.stringify(reply)} is not a reply`, async () => {
    await withScript(message(reply), async (create) => {
      const failure = (await create().catch((thrown: unknown) => thrown)) as MatrixError;
      expect(failure.problems.map(({ message: problem }) => problem)).toEqual([
        "reply 2 of r is neither text nor a message with text arguments",
      ]);
    });
  });
}

test("a reply keeps its other fields, and calls of tools end the answer", async () => {
  const replies = [{ reasoning: "hm", content: null, tool_calls: [call({})] }, { content: "B" }];
  await withScript(JSON.stringify({ id: "a", replies: { student: replies } }), async (create) => {
    const model = await create();
    expect(await model.chat(asked({}), patient)).toMatchObject({
      message: { role: "assistant", reasoning: "hm", content: null, tool_calls: [call({})] },
      finishReason: "tool_calls",
    });
    expect(await model.chat(asked({ turn: 1 }), patient)).toMatchObject({ finishReason: "stop" });
  });
});

test("other lines and trials of a wrong type are named, and two lines for one trial", async () => {
  const lines = [
    '{"id": "a", "trial": "0", "replies": {}}',
    '{"id": "a", "trial": 0, "replies": {"r": "A"}}',
    '{"id": "b", "trial": 0, "replies": {}}',
    '{"id": "b", "trial": 0, "replies": {}}',
    '{"id": "b", "replies": {}}',
  ];
  await withScript(lines.join("\n"), async (create) => {
    const failure = (await create().catch((thrown: unknown) => thrown)) as MatrixError;
    expect(failure.problems.map(({ line, message: problem }) => [line, problem])).toEqual([
      [1, "trial is not a number"],
      [2, "reply 1 of r is neither text nor a message with text arguments"],
      [4, "row b, trial 0, is there twice"],
    ]);
  });
});

test("reading stops after twenty wrong lines", async () => {
  await withScript("{\n".repeat(30), async (create) => {
    const failure = (await create().catch((thrown: unknown) => thrown)) as MatrixError;
    expect(failure.problems).toHaveLength(20);
  });
});

test("a script that is not there is an error of the recipe", async () => {
  await expect(
    openModel("m", {
      kind: "scripted",
      replies: "/nowhere/script.jsonl",
      latency: { kind: "constant", value: 0 },
      concurrency: 1,
    } as const),
  ).rejects.toMatchObject({
    code: "recipe_invalid",
    message: expect.stringMatching(/^cannot read \/nowhere\/script\.jsonl: /),
  });
});
