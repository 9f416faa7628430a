// Pieces of a streamed answer.

import { expect, test } from "bun:test";
import { grow } from "../../../src/model/endpoint/growth.ts";
import type { Json } from "../../../src/task/json.ts";

test("lists of pieces are joined in their order, however long they are", () => {
  const whole: Record<string, Json> = { tokens: [1] };
  grow(whole, { tokens: [2, 3] });
  grow(whole, { tokens: Array.from({ length: 500_000 }, (_, index) => index + 4) });
  const tokens = whole["tokens"] as number[];
  expect(tokens).toHaveLength(500_003);
  expect(tokens.slice(0, 4)).toEqual([1, 2, 3, 4]);
  expect(tokens.at(-1)).toBe(500_003);
});
