// The llm agent: the request that its model gets, and what becomes of the answer. The model here
// implements the contract with scripted answers, and keeps the requests.

import { expect, test } from "bun:test";
import { createAttach } from "../../src/agent/attachments.ts";
import { createLlmAgent, type LlmRole } from "../../src/agent/llm.ts";
import { createRequestWriter, type ModelRequest } from "../../src/agent/request.ts";
import { createAnswerSchema } from "../../src/agent/schema.ts";
import { compileTemplate } from "../../src/agent/template.ts";
import type { MatrixError } from "../../src/error.ts";
import type { ChatRequest, Model } from "../../src/model/contract.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";
import { deriveSeed } from "../../src/task/seed.ts";
import type { Hop, Task } from "../../src/task/task.ts";
import { agentContext } from "../parts/agent-context.ts";

function scriptedModel(...replies: readonly string[]): { model: Model; requests: ChatRequest[] } {
  const requests: ChatRequest[] = [];
  const model: Model = {
    name: "m",
    id: "m-7b",
    simulated: true,
    replicas: null,
    provider: "simulated",
    costOf: () => undefined,
    chat: async (request) => {
      requests.push(request);
      const content = replies[requests.length - 1] ?? "";
      return {
        message: { role: "assistant", content },
        finishReason: "stop",
        usage: { requests: 1, prompt_tokens: 10, completion_tokens: 2 },
        cost: 1,
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
  limit: null,
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

const context = agentContext();

test("an llm role sends system, prompt and conversation: own turns as assistant, others' as user, other roles hidden", async () => {
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
    asked: { finishReasons: ["stop"] },
  });
});

test("an llm role joins two user messages in a row, which many chat templates refuse", async () => {
  const { model, requests } = scriptedModel("B");
  await createLlmAgent(role(model)).run(task([hop(0, "teacher", said("hint"))]), context);
  expect(requests[0]?.messages.at(-1)).toEqual({ role: "user", content: "Q: 2+2?\n\nhint" });
});

test("an llm role sends tool calls and tool results in the OpenAI shape, with the arguments unchanged", async () => {
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

test("without roles of its conversation, an llm role sends its prompt first, and then its own view", async () => {
  const { model, requests } = scriptedModel("B");
  const call = {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "c1", type: "function", function: { name: "add", arguments: "{}" } }],
  };
  const history = [
    hop(0, "planner", said("a plan")),
    hop(1, "student", call),
    hop(2, "tools", [{ role: "tool", tool_call_id: "c1", content: "4" }]),
    hop(3, "student", said("A")),
    hop(4, "teacher", said("no")),
  ];
  const sees = async (before: number, more: Partial<LlmRole> = {}) => {
    await createLlmAgent(role(model, { conversation: null, ...more })).run(
      task(history.slice(0, before)),
      context,
    );
    return requests.at(-1)?.messages;
  };
  const system = { role: "system", content: "You are student." };
  const prompt = { role: "user", content: "Q: 2+2?" };
  expect(await sees(1)).toEqual([system, prompt] as never);
  const answered = [call, { role: "tool", tool_call_id: "c1", content: "4" }];
  expect(await sees(3)).toEqual([system, prompt, ...answered] as never);
  const turned = [...answered, said("A"), { role: "user", content: "no" }];
  expect(await sees(5)).toEqual([system, prompt, ...turned] as never);
  const heard = { role: "user", content: "a plan" };
  expect(await sees(5, { prompt: null })).toEqual([system, heard, ...turned] as never);
});

test("calls that a model numbers anew in each turn have ids of their own, also in what it is sent", async () => {
  const calling = (id: string) => ({
    content: null,
    tool_calls: [{ id, type: "function", function: { name: "f", arguments: "{}" } }],
  });
  const { model, requests } = scriptedModel();
  const numbering: Model = {
    ...model,
    chat: async (request, signal) => {
      const answer = await model.chat(request, signal);
      return { ...answer, message: { role: "assistant", ...calling("call_0") } };
    },
  };
  const agent = createLlmAgent(role(numbering, { conversation: new Set(["student", "tools"]) }));
  const answered = (tool_call_id: string) => ({ role: "tool", tool_call_id, content: "x" });
  const history = [
    hop(0, "student", calling("call_0")),
    hop(1, "tools", answered("call_0")),
    hop(2, "student", calling("call_1")),
    hop(3, "tools", answered("call_1")),
  ];
  const { result } = await agent.run(task(history), context);
  expect(result).toMatchObject({ tool_calls: [{ id: "call_2" }] });
  const sent = requests[0]?.messages.map(({ tool_calls, tool_call_id }) => ({
    calls: tool_calls?.map(({ id }) => id),
    tool_call_id,
  }));
  expect(sent?.slice(2)).toEqual([
    { calls: ["call_0"], tool_call_id: undefined },
    { calls: undefined, tool_call_id: "call_0" },
    { calls: ["call_1"], tool_call_id: undefined },
    { calls: undefined, tool_call_id: "call_1" },
  ]);
});

test("the seed of a request is derived from task, role and hop, and repeats", async () => {
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

test("the checked answer of a schema stands in the result as `parsed`, also from a Markdown fence", async () => {
  const schema = createAnswerSchema({
    type: "object",
    required: ["n"],
    properties: { n: { type: "integer" } },
  });
  const { model } = scriptedModel('```json\n{"n": 4}\n```');
  expect((await createLlmAgent(role(model, { schema })).run(task(), context)).result).toMatchObject(
    { parsed: { n: 4 } },
  );
});

test("an answer that does not fit its schema is asked for once more, and both calls count", async () => {
  const schema = createAnswerSchema({
    type: "object",
    required: ["n"],
    properties: { n: { type: "integer" } },
  });
  const { model, requests } = scriptedModel('{"n": "four"}', '{"n": 4}');
  const context = agentContext();
  const answer = await createLlmAgent(role(model, { schema })).run(task(), context);
  expect(answer).toMatchObject({
    result: { parsed: { n: 4 } },
    usage: { requests: 2, completion_tokens: 4 },
  });
  expect(requests[1]?.messages.at(-1)?.content).toContain("does not fit the schema");
  expect(requests[1]?.messages.at(-1)?.content).toContain("#/n");
});

test("answers that an endpoint billed and that are no use are noted, and count with those that are", async () => {
  const rejected = {
    message: { role: "assistant", content: "half" },
    finishReason: "error",
    problem: "it broke",
    usage: { requests: 1, prompt_tokens: 7, completion_tokens: 1, failed_requests: 1 },
    cost: 0.5,
  } as const;
  const bad = [
    {
      model: "m-7b",
      ...{ usage: rejected.usage, cost: 0.5, asked: { finishReasons: ["error"] } },
      result: { role: "assistant", content: "half", finish_reason: "error" },
    },
    "it broke",
  ];
  const play = async (replies: readonly string[], more: Partial<LlmRole> = {}) => {
    const { model, requests } = scriptedModel(...replies);
    const chat: Model["chat"] = (asked, signal, onRejected) => {
      onRejected?.(rejected);
      return model.chat(asked, signal);
    };
    const context = agentContext();
    const ran = createLlmAgent(role({ ...model, chat }, more)).run(task(), context);
    const answer = await Promise.resolve(ran).catch((error: unknown) => error as MatrixError);
    return { answer, noted: context.noted, asked: requests.length };
  };
  const one = await play(["yes"]);
  expect(one.noted as unknown).toEqual([bad]);
  expect(one.answer).toMatchObject({
    result: { content: "yes" },
    usage: { requests: 2, prompt_tokens: 17, completion_tokens: 3, failed_requests: 1 },
    cost: 1.5,
  });
  const schema = createAnswerSchema({ type: "object" });
  const two = await play(["no", "{}"], { schema });
  expect(two.noted.map(([, problem]) => problem)).toEqual([
    "it broke",
    expect.stringContaining("not JSON"),
    "it broke",
  ]);
  expect(two.answer).toMatchObject({
    result: { parsed: {} },
    usage: { requests: 4, prompt_tokens: 34, completion_tokens: 6, failed_requests: 2 },
    cost: 3,
  });
  const limit = { tokens: 20 };
  const three = await play(["no", "{}"], { schema, limit });
  expect([three.asked, three.answer]).toMatchObject([1, { code: "task_limit" }]);
});

test("an answer that was asked for again has the cost of both, where either has one", async () => {
  const schema = createAnswerSchema({ type: "object" });
  const costOf = async (...costs: readonly (number | undefined)[]) => {
    const { model, requests } = scriptedModel("no", "{}");
    const chat: Model["chat"] = async (asked, signal) => {
      const { cost: _, ...free } = await model.chat(asked, signal);
      const cost = costs[requests.length - 1];
      return { ...free, ...(cost === undefined ? {} : { cost }) };
    };
    const answer = await createLlmAgent(role({ ...model, chat }, { schema })).run(task(), context);
    return "cost" in answer ? answer.cost : "none";
  };
  expect(await costOf(undefined, undefined)).toBe("none");
  expect(await costOf(0.1, undefined)).toBe(0.1);
  expect(await costOf(undefined, 0.2)).toBe(0.2);
  expect(await costOf(0.1, 0.2)).toBe(0.3);
});

test("a second answer that does not fit fails the step with schema_mismatch", async () => {
  const schema = createAnswerSchema({ type: "object", required: ["n"] });
  const { model, requests } = scriptedModel("no", "still no");
  const context = agentContext();
  const answer = Promise.resolve(createLlmAgent(role(model, { schema })).run(task(), context));
  await expect(answer).rejects.toMatchObject({
    code: "schema_mismatch",
    message: expect.stringMatching(
      /^the answer does not fit the schema, even after it was asked for again: it is not JSON/,
    ),
  });
  const usage = { requests: 1, prompt_tokens: 10, completion_tokens: 2 };
  expect(context.noted.map(([{ model, usage, cost }]) => [model, usage, cost])).toEqual([
    ["m-7b", usage, 1],
    ["m-7b", usage, 1],
  ]);
  for (const [{ result }, problem] of context.noted) {
    expect(result).toMatchObject({ role: "assistant", content: expect.any(String) });
    expect(problem).toStartWith("it is not JSON (");
  }
  expect(requests).toHaveLength(2);
});

test("a role that accepts malformed messages asks for them, and another one does not", async () => {
  const { model, requests } = scriptedModel("B");
  await createLlmAgent(role(model, { accepts: new Set(["malformed"]) })).run(task(), context);
  await createLlmAgent(role(model, { accepts: new Set(["cut"]) })).run(task(), context);
  expect(requests[0]?.takesMalformed).toBe(true);
  expect(requests[1]).not.toHaveProperty("takesMalformed");
});

test("an incomplete answer ends the task with its reason, unless the role accepts it", async () => {
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

test("a result keeps an unusual finish reason, which is not sent back to the model", async () => {
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

test("a model's reasoning goes back to it with the calls that it led to, and with no other message", async () => {
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

test("an llm role sends what its request module wrote, with the recipe's sampling over the module's", async () => {
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

test("attachments stand beside the first message of the user that a request module wrote", async () => {
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

test("a request module that throws or returns no messages fails with prompt_failed", () => {
  for (const write of [() => ({ message: [] }), () => JSON.parse("{")])
    expect(() => createRequestWriter("request.ts", write, {})(task())).toThrow(
      expect.objectContaining({ code: "prompt_failed" }),
    );
  expect(() => createRequestWriter("request.ts", {}, {})).toThrow(
    expect.objectContaining({ code: "module_invalid" }),
  );
});

test("a request module may set any sampling but the fields that matrix writes", () => {
  const write = (sampling: JsonObject) =>
    createRequestWriter(
      "request.ts",
      () => ({ messages: [], sampling }),
      {},
    )(task()) as ModelRequest;
  expect(write({ temperature: 1, my_field: 2 }).sampling).toEqual({ temperature: 1, my_field: 2 });
  for (const field of ["n", "stream", "messages", "model", "seed", "tools"])
    expect(() => write({ temperature: 1, [field]: 2 })).toThrow(
      expect.objectContaining({
        code: "prompt_failed",
        message: expect.stringMatching(
          new RegExp(`^request.ts returned sampling.${field}, which matrix writes itself: .`),
        ),
      }),
    );
});

test("a request says which step asks: row, trial, attempt, role, and its turn", async () => {
  const { model, requests } = scriptedModel("a", "b");
  const agent = createLlmAgent(role(model));
  await agent.run({ ...task(), trial: 3, attempt: 2 }, context);
  const history = [
    hop(0, "student", said("x")),
    hop(1, "teacher", said("y")),
    hop(2, "student", said("z")),
  ];
  await agent.run({ ...task(history, "row"), mayRepeat: true }, context);
  expect(requests.map(({ origin }) => origin)).toEqual([
    { row: "1", trial: 3, attempt: 2, mayRepeat: false, role: "student", turn: 0 },
    { row: "row", trial: 0, attempt: 1, mayRepeat: true, role: "student", turn: 2 },
  ]);
});

test("the seed of a request is the one that tasks, roles and hops have always had, in 31 bits", async () => {
  const { model, requests } = scriptedModel("a", "b");
  await createLlmAgent(role(model)).run(task(), context);
  await createLlmAgent(role(model)).run(task([hop(0, "student", said("x"))]), context);
  expect(requests.map(({ seed }) => seed)).toEqual([
    deriveSeed(42, "student", 0) % 2 ** 31,
    deriveSeed(42, "student", 1) % 2 ** 31,
  ]);
});

test("templates read row, state, history, last result, role, id and trial", async () => {
  const { model, requests } = scriptedModel("a", "b");
  const prompt = compileTemplate(
    "{{ row.q }} {{ state.s }} {{ history | length }} {{ last }} {{ role }} {{ id }} {{ trial }}",
    "p",
  );
  const agent = createLlmAgent(role(model, { prompt, system: null, conversation: new Set() }));
  await agent.run({ ...task([hop(0, "x", "seen")], "row7"), state: { s: "S" }, trial: 2 }, context);
  expect(requests[0]?.messages).toEqual([
    { role: "user", content: "2+2? S 1 seen student row7 2" },
  ]);
});

test("tools and a schema are part of a request only where the role has them", async () => {
  const { model, requests } = scriptedModel("a", '{"n": 1}');
  const tools = [{ type: "function" }];
  await createLlmAgent(role(model)).run(task(), context);
  const schema = createAnswerSchema({ type: "object" });
  await createLlmAgent(role(model, { tools, schema })).run(task(), context);
  expect([requests[0]?.tools, requests[0]?.schema]).toEqual([undefined, undefined]);
  expect("tools" in (requests[0] ?? {})).toBe(false);
  expect([requests[1]?.tools, requests[1]?.schema]).toEqual([tools, { type: "object" }]);
});

test("a request for a better answer repeats the request with the answer and the problem", async () => {
  const { model, requests } = scriptedModel("no", "{}");
  const schema = createAnswerSchema({ type: "object" });
  await createLlmAgent(role(model, { schema })).run(task(), context);
  const [first, second] = requests;
  expect(second).toMatchObject({ seed: first?.seed as number, origin: first?.origin as never });
  expect(second?.messages.slice(0, 2)).toEqual(first?.messages as never);
  expect(second?.messages.slice(2)).toEqual([
    { role: "assistant", content: "no" },
    {
      role: "user",
      content: expect.stringMatching(
        /^That answer does not fit the schema: it is not JSON \(.*\)\. Answer again, with the JSON alone\.$/,
      ),
    },
  ] as never);
});

test("an incomplete second answer ends the task with the usage of both", async () => {
  const { model } = scriptedModel("no", "still");
  let calls = 0;
  const cut: Model = {
    ...model,
    chat: async (asked, signal) => ({
      ...(await model.chat(asked, signal)),
      finishReason: ++calls === 2 ? "length" : "stop",
    }),
  };
  const schema = createAnswerSchema({ type: "object" });
  expect(await createLlmAgent(role(cut, { schema })).run(task(), context)).toEqual({
    model: "m-7b",
    usage: { requests: 2, prompt_tokens: 20, completion_tokens: 4 },
    cost: 2,
    asked: { finishReasons: ["length"] },
    result: { role: "assistant", content: "still", finish_reason: "length" },
    stop: "cut",
  });
});

test("the answer of a simulated endpoint is labelled, and a model without prices has no cost", async () => {
  const { model } = scriptedModel("a");
  const simulated: Model = {
    ...model,
    chat: async (asked, signal) => {
      const { cost: _, ...free } = await model.chat(asked, signal);
      return { ...free, simulated: true };
    },
  };
  const answer = await createLlmAgent(role(simulated)).run(task(), context);
  expect(answer.model).toBe("simulated:m-7b");
  expect(answer).not.toHaveProperty("cost");
});

test.each([
  ["stop", false],
  ["tool_calls", false],
  ["length", true],
  ["function_call", true],
])("the finish reason %s stays in the result: %p", async (finishReason, stays) => {
  const { model } = scriptedModel("a");
  const ending: Model = {
    ...model,
    chat: async (asked, signal) => ({ ...(await model.chat(asked, signal)), finishReason }),
  };
  const { result } = await createLlmAgent(role(ending)).run(task(), context);
  expect("finish_reason" in (result as object)).toBe(stays);
});

test("the step's signal reaches the model", async () => {
  const { model } = scriptedModel("a");
  const seen: AbortSignal[] = [];
  const noting: Model = {
    ...model,
    chat: (asked, signal) => {
      seen.push(signal);
      return model.chat(asked, signal);
    },
  };
  await createLlmAgent(role(noting)).run(task(), context);
  expect(seen).toEqual([context.signal]);
});
