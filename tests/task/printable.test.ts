// Text that can neither steer a terminal nor deceive its reader.

import { expect, test } from "bun:test";
import { printable, withoutUnsafe } from "../../src/task/printable.ts";

test("control characters are escaped as in JSON, and newlines and tabs stay", () => {
  expect(printable("a\u001b[2Jb\u0007\r\n\tc\u007f\u009b31m\0")).toBe(
    "a\\u001b[2Jb\\u0007\\u000d\n\tc\\u007f\\u009b31m\\u0000",
  );
});

test("other characters stay as they are", () => {
  expect(printable('ж😀 "x" \\u001b שלום e\u0301 ❤\ufe0f')).toBe(
    'ж😀 "x" \\u001b שלום e\u0301 ❤\ufe0f',
  );
});

test.each([
  ["turns of the reading direction", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"],
  ["marks of the reading direction", "\u200e\u200f\u061c"],
  ["characters without width", "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"],
  ["separators of lines", "\u2028\u2029\u0085"],
  ["letters that nobody sees", "\u3164\u115f\u1160\uffa0\u034f\u17b4\u17b5"],
  ["notes between the lines", "\ufff9\ufffa\ufffb"],
  ["halves of pairs", "\ud800"],
])("%s are escaped, and left out of log lines", (_, characters) => {
  const escaped = [...characters].map(
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  expect(printable(`a${characters}b`)).toBe(`a${escaped.join("")}b`);
  expect(withoutUnsafe(`a${characters}b`)).toBe("ab");
});

test("text that is hidden in tags is escaped unit by unit", () => {
  expect(printable("\u{e0041}")).toBe("\\udb40\\udc41");
});

test("JSON stays JSON with the same values", () => {
  const value = { text: "\u202eb\u200d\u{e0041}\u009b\u007f\u2028" };
  const text = printable(JSON.stringify(value));
  expect(text).toMatch(/^[\x20-\x7e]*$/);
  expect(JSON.parse(text)).toEqual(value);
});
