import { expect, test } from "bun:test";
import { SharedTexts } from "../../../src/sandbox/changes/shared-texts.ts";

test("equal texts are kept once, and no other content is kept", () => {
  const texts = new SharedTexts();
  const first = Buffer.from("a");
  expect(texts.keep(first, "1", true)).toBe(first);
  expect(texts.keep(Buffer.from("a"), "1", true)).toBe(first);
  const other = Buffer.from("b");
  expect(texts.keep(other, "2", true)).toBe(other);
  expect(texts.keep(Buffer.from([0]), "3", false)).toBeNull();
});
