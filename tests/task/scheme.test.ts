// Schemes of addresses.

import { expect, test } from "bun:test";
import { schemeOf } from "../../src/task/scheme.ts";

test.each<[text: string, scheme: string | null]>([
  ["s3://b/k", "s3"],
  ["HF://a/b", "hf"],
  ["git+ssh://x", "git+ssh"],
  ["a://", "a"],
  ["/a/b", null],
  ["a/b://c", null],
  ["c:/x", null],
  ["1s://x", null],
  ["://x", null],
  ["", null],
])("%p has the scheme %p", (text, scheme) => {
  expect(schemeOf(text)).toBe(scheme);
});
