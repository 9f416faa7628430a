// A text in the JSON of a record.

import { expect, test } from "bun:test";
import { TextSearch } from "../../../src/view/scan/text-search.ts";

const find = (text: string, value: unknown) => new TextSearch(text).find(JSON.stringify(value));

test("a text is found in any case, with the text around it and its place there", () => {
  const snippet = find("QUICK", { said: "the quick fox" });
  expect(snippet).toEqual({ text: "the quick fox", from: 4, to: 9 });
  expect(find("slow", { said: "the quick fox" })).toBeNull();
});

test("texts with quotes, backslashes and line breaks are found in their JSON form", () => {
  const said = 'He said "no\\yes"\nand left';
  for (const text of ['"no\\yes"', 'yes"\nand', "\nand left"]) {
    const snippet = find(text, { said });
    expect([text, snippet?.text.slice(snippet.from, snippet.to)]).toEqual([text, text]);
    expect(snippet?.text).toBe(said);
  }
});

test("80 characters stand on each side of a match, and no more", () => {
  const said = `${"a".repeat(100)}NEEDLE${"b".repeat(100)}`;
  expect(find("needle", { said })).toEqual({
    ...{ text: `${"a".repeat(80)}NEEDLE${"b".repeat(80)}`, from: 80, to: 86 },
  });
});

test("a snippet stays within the text that has the match", () => {
  expect(find("two", { a: "one", b: "two", c: "three" })?.text).toBe("two");
});

test("a match behind letters that grow in lower case is found", () => {
  expect(find("needle", { said: `${"İ".repeat(50)} needle` })).not.toBeNull();
});
