// Doubts: fields of requests that look like misspelt ones.

import { expect, test } from "bun:test";
import { fieldDoubts } from "../../../src/recipe/doubts/request-fields.ts";
import { insteadOf, KNOWN_FIELDS } from "../../../src/recipe/schema/request-schema.ts";
import type { JsonObject } from "../../../src/task/json.ts";

const sampled = (sampling: JsonObject) => fieldDoubts({ roles: { "a.b": { sampling } } });

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
  expect(fieldDoubts({ models: { m: { extra_body: { provder: {} } } } })).toEqual([
    expect.objectContaining({ key: "models.m.extra_body.provder", suggestion: "provider" }),
  ]);
});

test("known fields, fields that resemble none of them and fields that matrix writes are not doubted", () => {
  expect(
    sampled({ temperature: 1, top_k: 5, my_own_switch_of_the_server: 1, n: 2, seed: 1, model: 2 }),
  ).toEqual([]);
});

test("tables of other shapes have no doubts", () => {
  for (const table of [{}, { roles: 5 }, { roles: { a: 5 } }, { roles: { a: { sampling: [] } } }])
    expect(fieldDoubts(table as JsonObject)).toEqual([]);
});

test("a field under its name at another API, or written in another way, is doubted", () => {
  const meant = (field: string) => sampled({ [field]: 1 })[0]?.suggestion;
  expect(["topP", "top-p", "Top_P", "maxTokens", "TEMPERATURE"].map(meant)).toEqual([
    ...["top_p", "top_p", "top_p", "max_tokens", "temperature"],
  ]);
  expect(["temp", "max_new_tokens", "maxOutputTokens", "stop_sequences"].map(meant)).toEqual([
    ...["temperature", "max_tokens", "max_tokens", "stop"],
  ]);
  expect(meant("num_return_sequences")).toBe("n");
  expect(meant("my_own_switch")).toBeUndefined();
});

test("every slip of one letter in a field of five letters or more is doubted", () => {
  const slips = (word: string): readonly string[] =>
    [...word].flatMap((letter, index) => [
      word.slice(0, index) + word.slice(index + 1),
      word.slice(0, index) + letter + word.slice(index),
      word.slice(0, index) + (word[index + 1] ?? "") + letter + word.slice(index + 2),
      `${word.slice(0, index)}x${word.slice(index + 1)}`,
    ]);
  const missed = KNOWN_FIELDS.filter((field) => field.length >= 5)
    .flatMap(slips)
    .filter((word) => !KNOWN_FIELDS.includes(word) && insteadOf(word) === null)
    .filter((word) => sampled({ [word]: 1 }).length === 0);
  expect(missed).toEqual([]);
});
