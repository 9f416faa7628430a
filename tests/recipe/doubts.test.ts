// Doubts: fields of requests that look like misspelt ones.

import { expect, test } from "bun:test";
import { doubtsIn } from "../../src/recipe/doubts.ts";
import type { JsonObject } from "../../src/task/json.ts";

const sampled = (sampling: JsonObject) => doubtsIn({ roles: { "a.b": { sampling } } });

test("a field that is close to a known one is doubted, at its place and with the known one", () => {
  expect(sampled({ temprature: 0.8, max_token: 5, topp: 1 })).toEqual([
    {
      key: 'roles."a.b".sampling.temprature',
      message: '"temprature" is sent as it is',
      suggestion: "temperature",
    },
    expect.objectContaining({ suggestion: "max_tokens" }),
    expect.objectContaining({ suggestion: "top_p" }),
  ]);
  expect(doubtsIn({ models: { m: { extra_body: { provder: {} } } } })).toEqual([
    expect.objectContaining({ key: "models.m.extra_body.provder", suggestion: "provider" }),
  ]);
});

test("known fields, fields like no other and fields that matrix writes are not doubted", () => {
  expect(
    sampled({ temperature: 1, top_k: 5, my_own_switch_of_the_server: 1, n: 2, seed: 1, model: 2 }),
  ).toEqual([]);
});

test("tables of other shapes have no doubts", () => {
  for (const table of [{}, { roles: 5 }, { roles: { a: 5 } }, { roles: { a: { sampling: [] } } }])
    expect(doubtsIn(table as JsonObject)).toEqual([]);
});
