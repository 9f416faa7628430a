// The scripted model: its replies per row, role and turn, and what it says of a script that is wrong.

import { describe, expect, test } from "bun:test";
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

describe("a scripted model", () => {
  test("says what the script says for this row, role and turn, arguments of calls to the letter", async () => {
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

  test("prefers the line that is meant for the trial", async () => {
    const script =
      '{"id": "a", "replies": {"student": ["any"]}}\n{"id": "a", "trial": 1, "replies": {"student": ["second"]}}';
    await withScript(script, async (create) => {
      const model = await create();
      const said = async (trial: number) =>
        (await model.chat(asked({ trial }), patient)).message.content;
      expect([await said(0), await said(1), await said(2)]).toEqual(["any", "second", "any"]);
    });
  });

  test("counts one request and the tokens of what was said", async () => {
    await withScript('{"id": "a", "replies": {"student": ["12345678"]}}', async (create) => {
      const answer = await (await create()).chat(asked({}), patient);
      expect(answer).toMatchObject({
        finishReason: "stop",
        usage: { requests: 1, prompt_tokens: 6, completion_tokens: 2 },
      });
    });
  });

  test("fails at once, and says what it has, where the script says nothing", async () => {
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

  test("names every line that is no part of a script, before anything is asked", async () => {
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
      expect(failure.problems.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6, 8]);
    });
  });
});
