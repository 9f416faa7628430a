// Bodies of completions: what an answer keeps of them, and which are no answers.

import { expect, test } from "bun:test";
import type { MatrixError } from "../../../src/error.ts";
import { EmptyMessage, parseCompletion } from "../../../src/model/endpoint/completion.ts";
import type { JsonObject } from "../../../src/task/json.ts";
import { nested } from "../../parts/nested.ts";

const parse = (choice: JsonObject, whole: JsonObject = {}) =>
  parseCompletion({ choices: [choice], ...whole });
const said = (message: JsonObject) => parse({ message }).message;
const call = { id: "a", type: "function", function: { name: "f", arguments: '{"x": 1.0}' } };

test("an answer has the message of the first choice, its finish reason and its usage", () => {
  const second = { message: { content: "no" }, finish_reason: "length" };
  const completion = {
    choices: [{ message: { role: "assistant", content: "yes" }, finish_reason: "stop" }, second],
    usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
  };
  expect(parseCompletion(completion)).toEqual({
    message: { role: "assistant", content: "yes" },
    finishReason: "stop",
    usage: { requests: 1, prompt_tokens: 3, completion_tokens: 4 },
  });
});

test("a choice without a finish reason has stopped", () => {
  expect(parse({ message: { content: "yes" } }).finishReason).toBe("stop");
  for (const finish_reason of [5, null, "", "null"])
    expect(parse({ message: { content: "yes" }, finish_reason }).finishReason).toBe("stop");
  expect(parse({ message: { content: "yes" }, finish_reason: "length" }).finishReason).toBe(
    "length",
  );
});

test("other fields of the message stay, and fields that are null go", () => {
  expect(said({ role: "x", content: "yes", reasoning: "hm", refusal: null, audio: null })).toEqual({
    role: "assistant",
    content: "yes",
    reasoning: "hm",
  });
});

test("log probabilities and token ids are kept in the message", () => {
  const logprobs = { content: [] };
  expect(
    parse(
      { message: { content: "yes" }, logprobs, token_ids: [3] },
      { prompt_token_ids: [1, 2], prompt_logprobs: [null], other: 1 },
    ).message,
  ).toEqual({
    role: "assistant",
    content: "yes",
    logprobs,
    token_ids: [3],
    prompt_token_ids: [1, 2],
    prompt_logprobs: [null],
  });
  expect(parse({ message: { content: "yes" }, logprobs: null }).message).not.toHaveProperty(
    "logprobs",
  );
});

test("content in parts becomes their text", () => {
  const content = [
    { type: "text", text: "a" },
    { type: "image" },
    "b",
    { type: "text", text: "c" },
  ];
  expect(said({ content }).content).toBe("abc");
});

test("calls keep their arguments, and a call without an id is named by its place", () => {
  const bare = { function: { name: "f", arguments: "{}" } };
  expect(said({ content: null, tool_calls: [call, bare, { ...bare, id: "" }] })).toEqual({
    role: "assistant",
    content: null,
    tool_calls: [
      call,
      { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } },
      { id: "call_2", type: "function", function: { name: "f", arguments: "{}" } },
    ],
  });
});

test("the call of an older endpoint becomes a call of a tool", () => {
  const older = { name: "f", arguments: '{"x":1}' };
  expect(said({ content: null, function_call: older })).toEqual({
    role: "assistant",
    content: null,
    tool_calls: [{ id: "call_0", type: "function", function: older }],
  });
  const both = said({ content: null, tool_calls: [call], function_call: older });
  expect(both).toEqual({ role: "assistant", content: null, tool_calls: [call] });
});

test("an empty list of calls is dropped", () => {
  expect(said({ content: "yes", tool_calls: [] })).toEqual({ role: "assistant", content: "yes" });
});

for (const completion of [
  null,
  5,
  "x",
  [],
  {},
  { choices: [] },
  { choices: [{}] },
  { choices: {} },
]) {
  test(`${JSON.stringify(completion)} is not a completion`, () => {
    expect(() => parseCompletion(completion)).toThrow(
      expect.objectContaining({
        code: "model_bad_answer",
        message: "the answer is not a chat completion: it has no choices",
      }),
    );
  });
}

test("an empty message is a bad answer, unless its finish reason or a refusal explains it", () => {
  for (const message of [{}, { content: null }, { content: "" }, { content: [] }])
    expect(() => said(message)).toThrow(
      expect.objectContaining({
        code: "model_bad_answer",
        message: "the answer is not a chat completion: the message is empty",
      }),
    );
  expect(parse({ message: { content: "" }, finish_reason: "length" }).message.content).toBeNull();
  expect(said({ content: null, refusal: "no" })).toMatchObject({ content: null, refusal: "no" });
});

test("the error for an empty message has what was said, and takes malformed calls where asked to", () => {
  const empty = { choices: [{ message: { content: "", reasoning: "hm" }, finish_reason: "stop" }] };
  for (const takesMalformed of [false, true])
    try {
      expect.unreachable(JSON.stringify(parseCompletion(empty, takesMalformed)));
    } catch (thrown) {
      expect((thrown as MatrixError).cause).toBeInstanceOf(EmptyMessage);
      expect(((thrown as MatrixError).cause as EmptyMessage).said).toEqual({
        message: { role: "assistant", content: null, reasoning: "hm" },
        finishReason: "stop",
      });
    }
  const unnamed = { id: "a", function: { name: "", arguments: "{}" } };
  const calling = { choices: [{ message: { tool_calls: [unnamed] } }] };
  expect(() => parseCompletion(calling)).toThrow("its tool call 0 has no name");
  expect(parseCompletion(calling, true).message["tool_calls"]).toEqual([
    { ...unnamed, type: "function" },
  ]);
});

test("an answer that the endpoint gave up is an error of its kind", () => {
  for (const [finish_reason, code] of [
    ["abort", "model_failed"],
    ["error", "model_failed"],
    ["load", "model_failed"],
    ["insufficient_system_resource", "model_failed"],
    ["MALFORMED_FUNCTION_CALL", "model_bad_answer"],
  ] as const)
    expect(() => parse({ message: { content: "yes" }, finish_reason })).toThrow(
      expect.objectContaining({
        code,
        message: `the endpoint gave the answer up: finish_reason ${finish_reason}`,
      }),
    );
});

test("an answer with a filtered, cut or unknown end is read, with its own finish reason", () => {
  for (const finish_reason of ["SAFETY", "model_length", "whatever"])
    expect(parse({ message: { content: "" }, finish_reason }).finishReason).toBe(finish_reason);
});

test("a count of tokens that is not a whole number from 0 to 1e9 is 0", () => {
  const usageOf = (prompt_tokens: unknown, completion_tokens: unknown) =>
    parse(
      { message: { content: "x" } },
      { usage: { prompt_tokens, completion_tokens } as JsonObject },
    ).usage;
  const used = (prompt_tokens: number, completion_tokens: number) => ({
    requests: 1,
    prompt_tokens,
    completion_tokens,
  });
  expect(usageOf(0, 1e9)).toEqual(used(0, 1e9));
  expect(usageOf(1e9 + 1, 5)).toEqual(used(0, 5));
  expect(usageOf(-1, 1.5)).toEqual(used(0, 0));
  expect(usageOf("3", null)).toEqual(used(0, 0));
  expect(parse({ message: { content: "x" } }, { usage: [3] }).usage).toEqual(used(0, 0));
  expect(parse({ message: { content: "x" } }).usage).toEqual(used(0, 0));
});

test("only the fingerprint of a simulation labels an answer as simulated", () => {
  const answer = (system_fingerprint: string) =>
    parse({ message: { content: "x" } }, { system_fingerprint });
  expect(answer("simulated").simulated).toBe(true);
  expect(answer("fp_1")).not.toHaveProperty("simulated");
});

test("an answer that is nested too deeply is a bad one", () => {
  expect(() => said({ content: "x", more: nested(300) })).toThrow(
    "the answer is not a chat completion: it is nested more than 256 levels deep",
  );
});
