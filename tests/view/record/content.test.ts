// JSON in the bounds that the page gets it in.

import { expect, test } from "bun:test";
import { beginningOf, contentOf, TEXT_CHARS_MAX } from "../../../src/view/record/content.ts";
import { nested } from "../../parts/nested.ts";

const content = (text: string) => contentOf(text, { from: 0, to: text.length }, "/row");

test("a small value stays as it is", () => {
  expect(content('{"a":[1,null,"x"],"b":true}')).toEqual({
    value: { a: [1, null, "x"], b: true },
    text: null,
    clips: [],
  });
});

test("a text of 64 Ki characters is whole, and one more is cut with its place", () => {
  const fits = "x".repeat(TEXT_CHARS_MAX);
  expect(content(JSON.stringify({ a: fits })).clips).toEqual([]);
  const cut = content(JSON.stringify({ a: [`${fits}y`], "b/c": `${fits}z` }));
  expect(cut.value).toEqual({ a: [fits], "b/c": fits });
  expect(cut.clips).toEqual([
    { at: "/row/a/0", in: "/a/0", chars: TEXT_CHARS_MAX + 1 },
    { at: "/row/b~1c", in: "/b~1c", chars: TEXT_CHARS_MAX + 1 },
  ]);
});

test("a text is not cut within a pair of surrogates", () => {
  expect(beginningOf("ab😀c", 3)).toBe("ab");
  expect(beginningOf("ab😀c", 4)).toBe("ab😀");
  expect(beginningOf("ab", 2)).toBe("ab");
});

test("a value of 100 levels is shown as a tree, and a deeper one as the beginning of its JSON", () => {
  const [fits, deep] = [100, 101].map((levels) => JSON.stringify(nested(levels)));
  expect(content(fits ?? "").text).toBeNull();
  expect(content(deep ?? "")).toEqual({ value: null, text: deep ?? "", clips: [] });
});

test("a value of 40,000 levels does no harm", () => {
  const text = "[".repeat(40_000) + "]".repeat(40_000);
  expect(content(text)).toEqual({
    value: null,
    text: text.slice(0, TEXT_CHARS_MAX),
    clips: [{ at: "/row", in: "", chars: 80_000 }],
  });
});

test("a value with many small parts is shown as the beginning of its JSON", () => {
  const text = JSON.stringify(Array.from({ length: 2 ** 20 + 1 }, () => 1));
  expect(content(text)).toEqual({
    value: null,
    text: text.slice(0, TEXT_CHARS_MAX),
    clips: [{ at: "/row", in: "", chars: text.length }],
  });
});

test("text that is not JSON is shown as it is", () => {
  expect(content('{"a":tru')).toEqual({ value: null, text: '{"a":tru', clips: [] });
});

test("a number that a double cannot hold keeps its digits", () => {
  expect(JSON.stringify(content('{"id":12345678901234567890}').value)).toBe(
    '{"id":12345678901234567890}',
  );
});

test("a part that is not there is null", () => {
  expect(contentOf("{}", undefined, "/row")).toEqual({ value: null, text: null, clips: [] });
});

test("a member named __proto__ is data like any other", () => {
  const { value } = content('{"__proto__":{"polluted":true},"a":1}');
  expect(JSON.stringify(value)).toBe('{"__proto__":{"polluted":true},"a":1}');
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});
