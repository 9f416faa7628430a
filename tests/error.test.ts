// Errors: whatever user code throws has a message.

import { expect, test } from "bun:test";
import { messageOf } from "../src/error.ts";

test("anything that can be thrown has a message", () => {
  const odd = new Error("x");
  Object.assign(odd, { message: { deep: 1 } });
  const thrown = [
    new Error("boom"),
    "text",
    7,
    undefined,
    null,
    Symbol("s"),
    {},
    Object.create(null),
    odd,
  ];
  expect(thrown.map(messageOf)).toEqual([
    "boom",
    "text",
    "7",
    "undefined",
    "null",
    "Symbol(s)",
    "[object Object]",
    "something that cannot be printed",
    "[object Object]",
  ]);
});
