// Instances of JSON schemas: what each keyword makes of a draw.

import { expect, test } from "bun:test";
import { drawInstance } from "../../src/model/instance.ts";
import type { Json, JsonObject } from "../../src/task/json.ts";

/** Draws with one random number for every choice; `random` 0 takes the first or the smallest. */
const draw = (schema: JsonObject, random = 0): Json =>
  drawInstance(
    schema,
    () => random,
    () => "words",
  );

const cases: readonly (readonly [schema: JsonObject, random: number, instance: Json])[] = [
  [{ const: 5 }, 0, 5],
  [{ const: null, type: "string" }, 0, null],
  [{ enum: ["a", "b", "c"] }, 0, "a"],
  [{ enum: ["a", "b", "c"] }, 0.99, "c"],
  [{ enum: [{ type: "string" }] }, 0, { type: "string" }],
  [{ anyOf: [{ type: "string" }, { type: "boolean" }] }, 0, "words"],
  [{ anyOf: [{ type: "string" }, { type: "null" }] }, 0.5, null],
  [{ oneOf: [{ const: 1 }, { const: 2 }] }, 0.5, 2],
  [{ type: "string" }, 0, "words"],
  [{ type: ["integer", "null"] }, 0, 0],
  [{ type: "boolean" }, 0.49, true],
  [{ type: "boolean" }, 0.5, false],
  [{ type: "null" }, 0, null],
  [{ type: "whatever" }, 0, null],
  [{}, 0, null],
  [{ type: "integer" }, 0, 0],
  [{ type: "integer" }, 0.5, 5],
  [{ type: "integer", minimum: 3 }, 0.5, 8],
  [{ type: "integer", minimum: 3, maximum: 5 }, 0.99, 5],
  [{ type: "integer", minimum: 3, maximum: 5 }, 0, 3],
  [{ type: "number", minimum: 1, maximum: 2 }, 0.123, 1.12],
  [{ type: "array", items: { const: 1 } }, 0, [1, 1]],
  [{ type: "array", items: { const: 1 }, maxItems: 1 }, 0, [1]],
  [{ type: "array", items: { const: 1 }, maxItems: 0 }, 0, [1]],
  [{ type: "array", items: { const: 1 }, minItems: 3 }, 0, [1, 1, 1]],
  [{ type: "array" }, 0, [null, null]],
  [{ type: "object" }, 0, {}],
  [{ properties: { a: { const: 1 }, b: { type: "string" } } }, 0, { a: 1, b: "words" }],
  [{ $ref: "#/$defs/x", $defs: { x: { const: 4 } } }, 0, 4],
  [{ $ref: "#/$defs/none", $defs: {} }, 0, null],
  [{ $ref: "#/a/b", a: 1 }, 0, null],
];
for (const [schema, random, instance] of cases) {
  test(`${JSON.stringify(schema)} with ${random} gives ${JSON.stringify(instance)}`, () => {
    expect(draw(schema, random)).toEqual(instance);
  });
}

test("a recursive schema ends after eight levels", () => {
  const schema = { properties: { next: { $ref: "#" } } };
  let levels = 0;
  for (let node = draw(schema); node !== null; node = (node as { next: Json }).next) levels++;
  expect(levels).toBe(5);
  const nested = (depth: number): JsonObject =>
    depth === 0 ? { const: "deep" } : { properties: { next: nested(depth - 1) } };
  expect(JSON.stringify(draw(nested(8)))).toContain("deep");
  expect(JSON.stringify(draw(nested(9)))).not.toContain("deep");
});
