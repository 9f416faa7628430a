// Streamed completions put together again: text, calls and lists in pieces, and what no piece may
// do.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { MatrixError } from "../../../src/error.ts";
import { Assembly } from "../../../src/model/endpoint/stream.ts";
import type { JsonObject } from "../../../src/task/json.ts";

const delta = (piece: JsonObject, more: JsonObject = {}): JsonObject => ({
  choices: [{ index: 0, delta: piece, finish_reason: null, ...more }],
});
const end = (finish_reason = "stop"): JsonObject => ({
  choices: [{ index: 0, delta: {}, finish_reason }],
});
function assemble(...chunks: readonly JsonObject[]): JsonObject | null {
  const assembly = new Assembly();
  for (const chunk of chunks) assembly.add(chunk);
  return assembly.completion;
}
const messageOf = (...chunks: readonly JsonObject[]) =>
  (assemble(...chunks, end()) as { choices: [{ message: JsonObject }] }).choices[0].message;
const call = (piece: JsonObject) => delta({ tool_calls: [piece] });

test("a stream without a finish reason is not a completion", () => {
  expect(assemble()).toBeNull();
  expect(assemble(delta({ content: "x" }))).toBeNull();
  expect(assemble(delta({ content: "x" }), end("stop"))).not.toBeNull();
});

test("text of every field grows, and a message without content has null", () => {
  expect(
    messageOf(
      delta({ role: "assistant", content: "" }),
      delta({ content: "y", reasoning: "h" }),
      delta({ content: "es", reasoning: "m", refusal: null }),
    ),
  ).toEqual({ role: "assistant", content: "yes", reasoning: "hm" });
  expect(messageOf(delta({}))).toEqual({ role: "assistant", content: null });
});

test("a streamed message has the role assistant, also when the stream gives another", () => {
  expect(messageOf(delta({ role: "tool", content: "x" }))["role"]).toBe("assistant");
});

test("usage, fingerprint and prompt ids are those of the last chunk that has them", () => {
  expect(
    assemble(
      { ...delta({ content: "x" }), usage: { prompt_tokens: 1 }, prompt_token_ids: [1] },
      { ...end(), system_fingerprint: "fp", prompt_logprobs: [null] },
      { choices: [], usage: { prompt_tokens: 3 } },
      { usage: null, system_fingerprint: null },
    ),
  ).toEqual({
    usage: { prompt_tokens: 3 },
    system_fingerprint: "fp",
    prompt_token_ids: [1],
    prompt_logprobs: [null],
    choices: [{ finish_reason: "stop", message: { role: "assistant", content: "x" } }],
  });
});

test("lists of the choice are joined, also inside of tables", () => {
  const completion = assemble(
    delta({ content: "a" }, { logprobs: { content: [1] }, token_ids: [7] }),
    delta({ content: "b" }, { logprobs: { content: [2], refusal: null }, token_ids: [8, 9] }),
    end(),
  );
  expect(completion?.["choices"]).toEqual([
    {
      finish_reason: "stop",
      logprobs: { content: [1, 2] },
      token_ids: [7, 8, 9],
      message: { role: "assistant", content: "ab" },
    },
  ]);
});

test("the first value of a number or a flag is replaced by the last", () => {
  expect(messageOf(delta({ n: 1, flag: true }), delta({ n: 2, flag: false }))).toMatchObject({
    n: 2,
    flag: false,
  });
});

test("only the choice with index 0, or without an index, is read", () => {
  const other = { choices: [{ index: 1, delta: { content: "B" }, finish_reason: "length" }] };
  const unnumbered = { choices: [{ delta: { content: "C" } }] };
  expect(messageOf(delta({ content: "A" }), other, unnumbered)["content"]).toBe("AC");
  expect(assemble(other)).toBeNull();
});

test("the first finish reason counts", () => {
  expect(assemble(delta({ content: "x" }), end("length"), end("stop"))).toMatchObject({
    choices: [{ finish_reason: "length" }],
  });
});

test("chunks without choices, without a delta or with other shapes add nothing", () => {
  for (const chunk of [
    {},
    { choices: null },
    { choices: [5] },
    { choices: [{ index: 0, delta: 5 }] },
  ] as unknown as JsonObject[])
    expect(messageOf(chunk)).toEqual({ role: "assistant", content: null });
});

test("a numbered call is put together by its number, with its arguments to the letter", () => {
  expect(
    messageOf(
      call({ index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } }),
      call({ index: 0, function: { arguments: '{"x": ' } }),
      call({ index: 1, id: "b", type: "function", function: { name: "g", arguments: "{}" } }),
      call({ index: 0, id: "", type: "", function: { name: "", arguments: "1.0}" } }),
    )["tool_calls"],
  ).toEqual([
    { id: "a", type: "function", function: { name: "f", arguments: '{"x": 1.0}' } },
    { id: "b", type: "function", function: { name: "g", arguments: "{}" } },
  ]);
});

test("calls without numbers are told apart by their ids", () => {
  const piece = (id: string | null, text: string) =>
    call({ ...(id === null ? {} : { id }), function: { name: "f", arguments: text } });
  expect(
    messageOf(piece("a", "1"), piece("a", "2"), piece(null, "3"), piece("b", "4"))["tool_calls"],
  ).toMatchObject([
    { id: "a", function: { arguments: "123" } },
    { id: "b", function: { arguments: "4" } },
  ]);
});

test("a call that was never named is dropped", () => {
  expect(messageOf(call({ index: 1, id: "b", function: { name: "g" } }))["tool_calls"]).toEqual([
    { id: "b", type: "function", function: { name: "g", arguments: "" } },
  ]);
  expect(messageOf(call({ index: 0, id: "a" }))).not.toHaveProperty("tool_calls");
});

test("a call may be one of 1024, and no index may be outside of that", () => {
  expect(messageOf(call({ index: 1023, function: { name: "f" } }))["tool_calls"]).toHaveLength(1);
  for (const index of [1024, 4_294_967_294, -1, 0.5])
    expect(() => messageOf(call({ index, function: { name: "f" } }))).toThrow(
      expect.objectContaining({
        code: "model_bad_answer",
        message: `the answer is not a chat completion: it has a tool call of index ${index}`,
      }),
    );
});

test("a field named __proto__ changes no object", () => {
  const chunk = JSON.parse(
    '{"choices":[{"index":0,"delta":{"content":"hi","__proto__":{"refusal":"no"},"a":{"__proto__":{"refusal":"no"},"b":1}}}]}',
  );
  const message = messageOf(chunk, chunk);
  expect(message["content"]).toBe("hihi");
  expect(({} as Record<string, unknown>)["refusal"]).toBeUndefined();
  expect(message["refusal"]).toBeUndefined();
});

test("chunks are not changed, and later pieces do not reach into them", () => {
  const first = delta({ content: "a" }, { token_ids: [1] });
  const before = structuredClone(first);
  assemble(first, delta({ content: "b" }, { token_ids: [2] }), end());
  expect(first).toEqual(before);
});

test("a text cut into any pieces is the same text again", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (pieces) => {
      const chunks = pieces.map((content) => delta({ content }));
      expect(messageOf(...chunks)["content"]).toBe(pieces.length === 0 ? null : pieces.join(""));
    }),
  );
});

test("a streamed answer that becomes larger than a task may be is too large", () => {
  const assembly = new Assembly();
  const piece = delta({ content: "x".repeat(16 * 2 ** 20 - 100) });
  for (let i = 0; i < 4; i++) assembly.add(piece);
  assembly.add({ ...delta({}), usage: { total_tokens: 1 } });
  const before = assembly.bytes;
  expect(before).toBeWithin(64 * 2 ** 20 - 400, 64 * 2 ** 20);
  expect(() => assembly.add(delta({ content: "x".repeat(400) }))).toThrow(
    new MatrixError("model_answer_too_large", "the answer is larger than 64 MiB"),
  );
});
