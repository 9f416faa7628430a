// Random ids and secrets.

import { expect, test } from "bun:test";
import { randomId } from "../src/random-id.ts";

test("random ids have the letters that were asked for, fit for URLs, and do not repeat", () => {
  const ids = Array.from({ length: 100 }, () => randomId(12));
  for (const id of ids) expect(id).toMatch(/^[\w-]{12}$/);
  expect(new Set(ids).size).toBe(100);
  expect(randomId(32)).toHaveLength(32);
});
