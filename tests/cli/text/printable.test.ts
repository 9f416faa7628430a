// Text that cannot steer a terminal.

import { expect, test } from "bun:test";
import { printable } from "../../../src/cli/text/printable.ts";

test("control characters are escaped as in JSON, and newlines and tabs stay", () => {
  expect(printable("a\u001b[2Jb\u0007\r\n\tc\u007f\u009b31m\0")).toBe(
    "a\\u001b[2Jb\\u0007\\u000d\n\tc\\u007f\\u009b31m\\u0000",
  );
});

test("other characters stay as they are", () => {
  expect(printable('ж😀 "x" \\u001b')).toBe('ж😀 "x" \\u001b');
});
