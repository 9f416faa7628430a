// Tool calls as endpoints send them, whole and in pieces.

import { expect, test } from "bun:test";
import { CallAssembly, callsFrom } from "../../../src/model/endpoint/tool-calls.ts";
import type { Json, JsonObject } from "../../../src/task/json.ts";

const named = (id: string, name: string, text: string) => ({
  id,
  type: "function",
  function: { name, arguments: text },
});
const given = (value?: Json) => ({
  id: "a",
  function: { name: "f", ...(value === undefined ? {} : { arguments: value }) },
});
const assemble = (...pieces: readonly JsonObject[]) => {
  const assembly = new CallAssembly();
  for (const piece of pieces) assembly.add(piece);
  return callsFrom([...assembly.calls]);
};

test("arguments stay the model's text, and a table becomes text", () => {
  for (const [value, text] of [
    ['{"x":  1.0}', '{"x":  1.0}'],
    ["not JSON", "not JSON"],
    [{ x: 1, y: ["ż"] }, '{"x":1,"y":["ż"]}'],
    [{}, "{}"],
    ["", "{}"],
    [" \n", "{}"],
    [null, "{}"],
    [undefined, "{}"],
  ] as const)
    expect(callsFrom([given(value)])).toEqual([named("a", "f", text)]);
});

test("arguments are text, however a stream sends them", () => {
  for (const [value, text] of [
    [{ x: 1 }, '{"x":1}'],
    [null, "{}"],
    [undefined, "{}"],
    ["", "{}"],
  ] as const)
    expect(assemble({ index: 0, ...given(value) })).toEqual([named("a", "f", text)]);
});

test("arguments of another kind, and a call without a name, are a bad answer", () => {
  for (const wrong of [
    given(5),
    given(true),
    { id: "a", function: { name: "", arguments: "{}" } },
    { id: "a", function: "f" },
    { id: "a" },
    null,
    5,
  ])
    expect(() => callsFrom([given("{}"), wrong as Json])).toThrow(
      expect.objectContaining({
        code: "model_bad_answer",
        message:
          "the answer is not a chat completion: its tool call 1 has no name, or its arguments are not a table",
      }),
    );
});

test("a request that takes malformed calls gets them as they are: without a name, or with blank arguments", () => {
  const taken = (call: Json) => callsFrom([call], true);
  expect(taken({ id: "a", function: { name: "", arguments: "{}" } })).toEqual([
    named("a", "", "{}"),
  ]);
  expect(taken({ id: "a", function: { arguments: "{}" } })).toEqual([named("a", "", "{}")]);
  expect(taken(given(" \n"))).toEqual([named("a", "f", " \n")]);
  expect(taken(given(null))).toEqual([named("a", "f", "")]);
  expect(taken(given('{"x": NaN}'))).toEqual([named("a", "f", '{"x": NaN}')]);
  for (const wrong of [given(5), { id: "a", function: "f" }, { id: "a" }, null])
    expect(() => taken(wrong as Json)).toThrow("its tool call 0 has no name");
});

test("a call without an id is named by its place, and its index is left out", () => {
  const bare = { function: { name: "f", arguments: "{}" } };
  expect(callsFrom([{ ...bare, index: 0, id: "" }, bare])).toEqual([
    named("call_0", "f", "{}"),
    named("call_1", "f", "{}"),
  ]);
});

test("other fields of a call are kept, whole and in pieces", () => {
  const extra_content = { google: { thought_signature: "s" } };
  expect(callsFrom([{ ...given("{}"), extra_content }])).toEqual([
    { ...named("a", "f", "{}"), extra_content },
  ]);
  expect(
    assemble(
      { index: 0, ...given("{") },
      { index: 0, extra_content, function: { arguments: "}" } },
    ),
  ).toEqual([{ ...named("a", "f", "{}"), extra_content }]);
});

test("values that are no list of calls are none", () => {
  for (const calls of [undefined, null, {}, "x", []]) expect(callsFrom(calls)).toEqual([]);
});

const piece = (index: number | null, id: string | null, name: string | null, text?: Json) => ({
  ...(index === null ? {} : { index }),
  ...(id === null ? {} : { id }),
  function: {
    ...(name === null ? {} : { name }),
    ...(text === undefined ? {} : { arguments: text }),
  },
});

const twoCalls: Readonly<Record<string, readonly JsonObject[]>> = {
  "numbered and in turns": [
    piece(0, "a", "f", ""),
    piece(1, "b", "g", '{"y"'),
    piece(0, null, null, '{"x":1}'),
    piece(1, null, null, ":2}"),
  ],
  "with the same index and other ids": [
    piece(0, "a", "f", '{"x":'),
    piece(0, null, null, "1}"),
    piece(0, "b", "g", '{"y":2}'),
  ],
  "with the same index, and ids that come with every piece": [
    piece(0, "a", "f", '{"x":'),
    piece(0, "a", "f", "1}"),
    piece(0, "b", "g", '{"y":'),
    piece(0, "b", "g", "2}"),
  ],
  "without an index": [
    piece(null, "a", "f", '{"x":1'),
    piece(null, null, null, "}"),
    piece(null, "b", "g", '{"y":2}'),
  ],
  "without an index, and a piece of the first after the second began": [
    piece(null, "a", "f", '{"x":'),
    piece(null, "b", "g", '{"y":2}'),
    piece(null, "a", null, "1}"),
  ],
};
for (const [how, pieces] of Object.entries(twoCalls)) {
  test(`two streamed calls ${how} are two calls`, () => {
    expect(assemble(...pieces)).toEqual([named("a", "f", '{"x":1}'), named("b", "g", '{"y":2}')]);
  });
}

test("two streamed calls of one tool without ids are told apart by whole arguments", () => {
  for (const index of [0, null]) {
    const expected = [named("call_0", "f", '{"x":1}'), named("call_1", "f", '{"x":2}')];
    expect(assemble(piece(index, null, "f", { x: 1 }), piece(index, null, "f", { x: 2 }))).toEqual(
      expected,
    );
    expect(
      assemble(
        piece(index, null, "f", '{"x":'),
        piece(index, null, "f", "1}"),
        piece(index, null, "f", '{"x":2}'),
      ),
    ).toEqual(expected);
    expect(assemble(piece(index, null, "f", "{}"), piece(index, null, "g"))).toEqual([
      named("call_0", "f", "{}"),
      named("call_1", "g", "{}"),
    ]);
  }
});

test("a new id without a name does not begin a call, and the first id stays", () => {
  expect(assemble(piece(0, "a", "f", "{"), piece(0, "z", null, "}"))).toEqual([
    named("a", "f", "{}"),
  ]);
  expect(assemble(piece(null, "a", "f", "{"), piece(null, "z", "", "}"))).toEqual([
    named("a", "f", "{}"),
  ]);
});

test("a name may come after the id and before the arguments", () => {
  expect(
    assemble(piece(0, "a", null), piece(0, null, "f"), piece(0, null, null, '{"x":1}')),
  ).toEqual([named("a", "f", '{"x":1}')]);
});

test("more than 1024 calls are a bad answer, with or without an index", () => {
  const many = Array.from({ length: 1024 }, (_, at) => piece(null, `c${at}`, "f", "{}"));
  expect(assemble(...many)).toHaveLength(1024);
  expect(() => assemble(...many, piece(null, "last", "f", "{}"))).toThrow(
    expect.objectContaining({ code: "model_bad_answer" }),
  );
});
