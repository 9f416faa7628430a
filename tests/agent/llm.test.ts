// The llm agent: what its model is sent, and what becomes of the answer. The model here is scripted, not mocked: it
// implements the contract and keeps the requests.

import { describe, expect, test } from "bun:test";
import { createAttach } from "../../src/agent/attachments.ts";
import { createLlmAgent, type LlmRole } from "../../src/agent/llm.ts";
import { createRequestWriter } from "../../src/agent/request.ts";
import { createAnswerSchema } from "../../src/agent/schema.ts";
import { compileTemplate } from "../../src/agent/template.ts";
import type { ChatRequest, Model } from "../../src/model/contract.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import type { Hop, Task } from "../../src/task/task.ts";

function scriptedModel(...replies: readonly string[]): { model: Model; requests: ChatRequest[] } {
  const requests: ChatRequest[] = [];
  const model: Model = {
    name: "m",
    id: "m-7b",
    simulated: true,
    replicas: null,
    costOf: (usage) => usage.completion_tokens * 0.5,
    chat: async (request) => {
      requests.push(request);
      const content = replies[requests.length - 1] ?? "";
      return {
        message: { role: "assistant", content },
        finishReason: "stop",
        usage: { requests: 1, prompt_tokens: 10, completion_tokens: 2 },
      };
    },
  };
  return { model, requests };
}

const role = (model: Model, more: Partial<LlmRole> = {}): LlmRole => ({
  name: "student",
  model,
  system: compileTemplate("You are {{ role }}.", "system"),
  prompt: compileTemplate("Q: {{ row.q }}", "prompt"),
  conversation: new Set(["student", "teacher"]),
  sampling: { temperature: 0 },
  tools: null,
  schema: null,
  request: null,
  attach: null,
  accepts: new Set(),
  ...more,
});

const hop = (hop: number, role: string, result: Json): Hop => ({
  hop,
  role,
  host: "h",
  at: "",
  queue_ms: 0,
  run_ms: 0,
  result,
});
const said = (content: string): Json => ({ role: "assistant", content });

function task(history: readonly Hop[] = [], rowId = "1"): Task {
  return {
    rowId,
    trial: 0,
    row: { q: "2+2?" },
    seed: 42,
    attempt: 1,
    role: "student",
    state: null,
    history,
    admittedAt: 0,
    trace: null,
  };
}

const context = { signal: new AbortController().signal };

describe("an llm role", () => {
  test("sends system, prompt and the conversation: own turns as assistant, others' as user, other roles unseen", async () => {
    const { model, requests } = scriptedModel("B");
    const history = [
      hop(0, "student", said("A")),
      hop(1, "extractor", { answer: "A" }),
      hop(2, "teacher", said("no")),
    ];
    const answer = await createLlmAgent(role(model)).run(task(history), context);
    expect(requests[0]?.messages).toEqual([
      { role: "system", content: "You are student." },
      { role: "user", content: "Q: 2+2?" },
      { role: "assistant", content: "A" },
      { role: "user", content: "no" },
    ]);
    expect(requests[0]).toMatchObject({ sampling: { temperature: 0 } });
    expect(answer).toEqual({
      result: { role: "assistant", content: "B" },
      model: "m-7b",
      usage: { requests: 1, prompt_tokens: 10, completion_tokens: 2 },
      cost: 1,
    });
  });

  test("joins two user messages in a row, which many chat templates refuse", async () => {
    const { model, requests } = scriptedModel("B");
    await createLlmAgent(role(model)).run(task([hop(0, "teacher", said("hint"))]), context);
    expect(requests[0]?.messages.at(-1)).toEqual({ role: "user", content: "Q: 2+2?\n\nhint" });
  });

  test("shows tool calls and tool results in the OpenAI shape, arguments untouched", async () => {
    const { model, requests } = scriptedModel("4");
    const call = {
      role: "assistant",
      content: null,
      tool_calls: [
        { id: "c1", type: "function", function: { name: "add", arguments: '{"a": 2.0}' } },
      ],
    };
    const results = [{ role: "tool", tool_call_id: "c1", content: "4" }];
    const history = [hop(0, "student", call), hop(1, "tools", results)];
    await createLlmAgent(role(model, { conversation: new Set(["student", "tools"]) })).run(
      task(history),
      context,
    );
    expect(requests[0]?.messages.slice(2)).toEqual([call, ...results] as never);
  });

  test("derives the seed from task, role and hop: repeatable, and different for each", async () => {
    const { model, requests } = scriptedModel();
    const agent = createLlmAgent(role(model));
    await agent.run(task(), context);
    await agent.run(task(), context);
    await agent.run(task([hop(0, "teacher", said("x"))]), context);
    const [first, again, later] = requests.map(({ seed }) => seed);
    expect(first).toBe(again as number);
    expect(later).not.toBe(first);
    expect(first).toBeLessThan(2 ** 31);
  });

  test("keeps the checked answer of a schema as `parsed`, also from a Markdown fence", async () => {
    const schema = createAnswerSchema({
      type: "object",
      required: ["n"],
      properties: { n: { type: "integer" } },
    });
    const { model } = scriptedModel('```json\n{"n": 4}\n```');
    expect(
      (await createLlmAgent(role(model, { schema })).run(task(), context)).result,
    ).toMatchObject({ parsed: { n: 4 } });
  });

  test("asks once more when the answer does not fit, and counts both calls", async () => {
    const schema = createAnswerSchema({
      type: "object",
      required: ["n"],
      properties: { n: { type: "integer" } },
    });
    const { model, requests } = scriptedModel('{"n": "four"}', '{"n": 4}');
    const answer = await createLlmAgent(role(model, { schema })).run(task(), context);
    expect(answer).toMatchObject({
      result: { parsed: { n: 4 } },
      usage: { requests: 2, completion_tokens: 4 },
    });
    expect(requests[1]?.messages.at(-1)?.content).toContain("does not fit the schema");
    expect(requests[1]?.messages.at(-1)?.content).toContain("#/n");
  });

  test("fails with schema_mismatch when the second answer does not fit either", async () => {
    const schema = createAnswerSchema({ type: "object", required: ["n"] });
    const { model, requests } = scriptedModel("no", "still no");
    const answer = Promise.resolve(createLlmAgent(role(model, { schema })).run(task(), context));
    await expect(answer).rejects.toMatchObject({ code: "schema_mismatch" });
    expect(requests).toHaveLength(2);
  });

  test("says why a task ends with an answer that is none, and goes on with one that the role accepts", async () => {
    const { model } = scriptedModel();
    const schema = createAnswerSchema({ type: "object", required: ["n"] });
    const cut: Model = {
      ...model,
      chat: async (asked, signal) => ({
        ...(await model.chat(asked, signal)),
        finishReason: "length",
      }),
    };
    expect(await createLlmAgent(role(cut)).run(task(), context)).toMatchObject({
      stop: "cut",
      usage: { requests: 1 },
    });
    expect(await createLlmAgent(role(cut, { schema })).run(task(), context)).toMatchObject({
      stop: "cut",
      usage: { requests: 1 },
    });
    expect(
      await createLlmAgent(role(cut, { accepts: new Set(["cut"]) })).run(task(), context),
    ).not.toHaveProperty("stop");
  });

  test("keeps with an answer what ended it, unless it is whole, and does not send that back", async () => {
    const { model, requests } = scriptedModel("Whole.", "The answ");
    const ending = (reason: string): Model => ({
      ...model,
      chat: async (asked, signal) => ({
        ...(await model.chat(asked, signal)),
        finishReason: reason,
      }),
    });
    expect((await createLlmAgent(role(ending("stop"))).run(task(), context)).result).toEqual(
      said("Whole."),
    );
    const { result } = await createLlmAgent(
      role(ending("length"), { accepts: new Set(["cut"]) }),
    ).run(task(), context);
    expect(result).toEqual({ role: "assistant", content: "The answ", finish_reason: "length" });
    await createLlmAgent(role(model)).run(task([hop(0, "student", result)]), context);
    expect(requests[2]?.messages.at(-1)).toEqual({ role: "assistant", content: "The answ" });
  });

  test("sends a model its own thoughts back with the calls that they led to, and with nothing else", async () => {
    const { model, requests } = scriptedModel("B");
    const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
    const thinking = {
      role: "assistant",
      content: null,
      reasoning_content: "first f",
      tool_calls: [call],
    };
    const history = [
      hop(0, "student", { role: "assistant", content: "A", reasoning_content: "hm" }),
      hop(1, "teacher", { role: "assistant", content: "no", reasoning: "hm" }),
      hop(2, "student", thinking),
      hop(3, "teacher", { role: "tool", tool_call_id: "c", content: "1" }),
    ];
    await createLlmAgent(role(model)).run(task(history), context);
    expect(requests[0]?.messages.slice(2)).toEqual([
      { role: "assistant", content: "A" },
      { role: "user", content: "no" },
      thinking,
      { role: "tool", tool_call_id: "c", content: "1" },
    ] as never);
  });

  test("sends what its request module wrote, and the recipe's sampling over the module's", async () => {
    const { model, requests } = scriptedModel("B");
    const tools = [{ type: "function", function: { name: "add" } }];
    const request = createRequestWriter(
      "request.ts",
      (task: Task, { settings }: { settings: JsonObject }) => ({
        messages: [{ role: "user", content: `${task.row["q"]} in ${settings["base"]}` }],
        tools,
        sampling: { temperature: 1, tool_choice: "auto" },
      }),
      { base: 10 },
    );
    await createLlmAgent(role(model, { request })).run(
      task([hop(0, "teacher", said("unseen"))]),
      context,
    );
    expect(requests[0]).toMatchObject({
      messages: [{ role: "user", content: "2+2? in 10" }],
      tools,
      sampling: { temperature: 0, tool_choice: "auto" },
    });
    expect(requests[0]?.messages).toHaveLength(1);
  });

  test("puts attachments beside the first message of the user that its request module wrote", async () => {
    const { model, requests } = scriptedModel("B");
    const request = createRequestWriter(
      "request.ts",
      () => ({ messages: [{ role: "user", content: "Look." }] }),
      {},
    );
    const attach = createAttach(["'https://example.org/' + row.q"], null);
    await createLlmAgent(role(model, { request, attach })).run(task(), context);
    expect(requests[0]?.messages).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "Look." },
          { type: "image_url", image_url: { url: "https://example.org/2+2?" } },
        ],
      },
    ]);
  });

  test("fails with prompt_failed when its request module throws or returns no messages", () => {
    for (const write of [() => ({ message: [] }), () => JSON.parse("{")])
      expect(() => createRequestWriter("request.ts", write, {})(task())).toThrow(
        expect.objectContaining({ code: "prompt_failed" }),
      );
    expect(() => createRequestWriter("request.ts", {}, {})).toThrow(
      expect.objectContaining({ code: "module_invalid" }),
    );
  });
});
