import { expect, test } from "bun:test";
import { heightOf, ratioOf } from "../../../src/view/page/parts/virtual.ts";
import { visibleParts, visibleText } from "../../../src/view/page/parts/visible.tsx";

test("characters that a screen hides get a name, and others stay", () => {
  expect(visibleText("a\u001b[31m\u0000\u0007\u202e\u2066\ufeff\u200b\u00ad\u007f\u0085")).toBe(
    "a⟨ESC⟩[31m⟨NUL⟩⟨BEL⟩⟨U+202E⟩⟨U+2066⟩⟨U+FEFF⟩⟨U+200B⟩⟨U+00AD⟩⟨DEL⟩⟨U+0085⟩",
  );
  const plain = "tabs\tand\nlines, ümlaute, 漢字, עברית, 👩‍👩‍👧";
  expect(visibleText(plain)).toBe(plain);
  expect(visibleParts(plain)).toEqual([plain]);
});

test("a text is cut at its hidden characters, in order", () => {
  const parts = visibleParts("a\u001bb\u202ec");
  expect(parts.filter((part) => typeof part === "string")).toEqual(["a", "b", "c"]);
  expect(parts).toHaveLength(5);
});

test("a return before a newline ends a line, and another one is shown", () => {
  expect(visibleParts("a\r\nb")).toEqual(["a\nb"]);
  expect(visibleParts("a\rb")).toHaveLength(3);
});

test("lists are scaled once a browser could not hold their height, and their ends are reached", () => {
  expect([heightOf(15_000_000), heightOf(15_000_001)]).toEqual([15_000_000, 15_000_000]);
  const scroller = { clientHeight: 500, scrollHeight: 15_000_500 };
  expect(ratioOf(scroller, 15_000_000)).toBe(1);
  expect(ratioOf(scroller, 36_000_500)).toBe(2.4);
  expect(ratioOf({ clientHeight: 500, scrollHeight: 500 }, 36_000_000)).toBe(1);
});
