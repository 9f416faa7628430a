// Looking into JSON without parsing it.

import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  depthOf,
  itemsOf,
  membersOf,
  pointerPart,
  type Span,
  spanAt,
} from "../../../src/view/record/outline.ts";

const whole = (text: string): Span => ({ from: 0, to: text.length });
const textsOf = (text: string, spans: Iterable<Span> | null) =>
  spans === null ? null : [...spans].map(({ from, to }) => text.slice(from, to));

test("the members of an object are found, whatever stands in their texts", () => {
  const text = '{ "a" : "}]\\"," , "b\\n": [1, {"c": "]"}], "d":-1.5e3,"e":null }';
  const members = membersOf(text, whole(text));
  expect([...(members?.keys() ?? [])]).toEqual(["a", "b\n", "d", "e"]);
  expect(textsOf(text, members?.values() ?? null)).toEqual([
    '"}]\\","',
    '[1, {"c": "]"}]',
    "-1.5e3",
    "null",
  ]);
});

test("the items of a list are found", () => {
  const text = '[1,"a,b" ,[2,[3]], {"x":[]} , true]';
  expect(textsOf(text, itemsOf(text, whole(text)))).toEqual([
    "1",
    '"a,b"',
    "[2,[3]]",
    '{"x":[]}',
    "true",
  ]);
});

test("a list has no members, an object has no items, and empty ones have none", () => {
  expect(membersOf("[1]", whole("[1]"))).toBeNull();
  expect(itemsOf("{}", whole("{}"))).toBeNull();
  expect(membersOf("{ }", whole("{ }"))?.size).toBe(0);
  expect(itemsOf("[ ]", whole("[ ]"))).toEqual([]);
});

test("a backslash before a quote counts only when it is not escaped itself", () => {
  const text = '["a\\\\","b\\\\\\"c"]';
  expect(textsOf(text, itemsOf(text, whole(text)))).toEqual(['"a\\\\"', '"b\\\\\\"c"']);
});

test("the depth of a value counts its levels and not the brackets in its texts", () => {
  const depth = (text: string) => depthOf(text, whole(text));
  expect(["1", '"[[["', "[]", '{"a":[{}]}', "[[],[[]]]"].map(depth)).toEqual([0, 0, 1, 3, 3]);
  expect(depth("[".repeat(40_000) + "]".repeat(40_000))).toBe(40_000);
});

test("a pointer leads to a part, with escaped names and places in lists", () => {
  const text = '{"a/b":{"~x":[10,{"y":"z"}]}}';
  const at = (pointer: string) =>
    textsOf(
      text,
      [spanAt(text, pointer)].flatMap((s) => s ?? []),
    )?.[0];
  expect(at("/a~1b/~0x/1/y")).toBe('"z"');
  expect(at("/a~1b/~0x/0")).toBe("10");
  expect(at("")).toBe(text);
  for (const wrong of ["/a", "/a~1b/~0x/2", "/a~1b/~0x/x", "a~1b", "/a~1b/~0x/0/1"])
    expect([wrong, spanAt(text, wrong)]).toEqual([wrong, null]);
  expect(pointerPart("a/~b")).toBe("a~1~0b");
});

test("JSON that ends early ends the search for its parts without an error", () => {
  for (const text of ['{"a":"b', '{"a"', '{"a":', "[1,[2", '{"a":1,', "[1 2]", '{"a" 1}', "", "["])
    expect(() => [membersOf(text, whole(text)), itemsOf(text, whole(text))]).not.toThrow();
});

test("any JSON is cut into the same parts that parsing gives", () => {
  const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(json, (text) => {
      const value: unknown = JSON.parse(text);
      if (Array.isArray(value))
        expect(textsOf(text, itemsOf(text, whole(text)))?.map((t) => JSON.parse(t))).toEqual(value);
      else if (typeof value === "object" && value !== null) {
        const members = membersOf(text, whole(text)) ?? new Map<string, Span>();
        const parsed = [...members].map(([name, { from, to }]) => [
          name,
          JSON.parse(text.slice(from, to)) as unknown,
        ]);
        expect(parsed).toEqual(Object.entries(value));
      }
    }),
  );
});
