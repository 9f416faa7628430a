import { expect, test } from "bun:test";
import { structColumns, structRow } from "../../../src/export/files/structs.ts";

const CALLS = {
  list: {
    struct: {
      id: "string",
      type: "string",
      function: { struct: { name: "string", arguments: "string" } },
    },
  },
} as const;

test("columns of structs have a struct for a message and text for other JSON", () => {
  expect(
    structColumns({
      messages: { list: "message" },
      row: "json",
      rows: { list: "json" },
      place: { struct: { x: "float64", any: "json" } },
      images: { list: "image" },
      score: "float64",
    }),
  ).toEqual({
    messages: {
      list: {
        struct: {
          role: "string",
          content: "string",
          reasoning_content: "string",
          tool_calls: CALLS,
          tool_call_id: "string",
        },
      },
    },
    row: "string",
    rows: { list: "string" },
    place: { struct: { x: "float64", any: "string" } },
    images: { list: "image" },
    score: "float64",
  });
});

test("a row of structs has all members of its columns, in their order, and no others", () => {
  const columns = structColumns({ m: "message", row: "json", n: "int64", texts: { list: "json" } });
  const row = {
    texts: ["a", 1, { b: 2n }],
    row: { a: [1, null] },
    m: { content: "x", role: "user", thinking: "no column has it" },
  };
  expect(JSON.stringify(structRow(row, columns))).toBe(
    '{"m":{"role":"user","content":"x","reasoning_content":null,"tool_calls":null,' +
      '"tool_call_id":null},"row":"{\\"a\\":[1,null]}","n":null,"texts":["a","1","{\\"b\\":2}"]}',
  );
});

test("the parts of a message with media become its text, and other lists stay JSON", () => {
  const columns = structColumns({ m: "message" });
  const content = [{ type: "text", text: "What is it?" }, { type: "image" }, { type: "audio" }];
  expect(structRow({ m: { role: "user", content } }, columns)["m"]).toMatchObject({
    content: "What is it?",
  });
  expect(structRow({ m: { role: "user", content: [] } }, columns)["m"]).toMatchObject({
    content: "[]",
  });
  expect(
    structRow({ m: { role: "user", content: [{ type: "odd" }] } }, columns)["m"],
  ).toMatchObject({ content: '[{"type":"odd"}]' });
});

test("a value that does not fit its column is null", () => {
  const columns = { place: { struct: { x: "float64" } }, list: { list: "string" } } as const;
  expect(structRow({ place: "text", list: "text" }, columns)).toEqual({ place: null, list: null });
});
