// Which texts count as an answer of a schema.

import { expect, test } from "bun:test";
import { createAnswerSchema } from "../../src/agent/schema.ts";

const DEFINITION = {
  type: "object",
  required: ["n"],
  properties: { n: { type: "integer" }, deep: { type: "object", properties: { x: { const: 1 } } } },
};
const schema = createAnswerSchema(DEFINITION);

test("the schema itself is kept for the request", () => {
  expect(schema.definition).toBe(DEFINITION);
});

test.each([
  '{"n": 4}',
  ' \n{"n": 4}\n',
  '```json\n{"n": 4}\n```',
  '```\n{"n": 4}\n```',
  '  ```json  \n\n{"n": 4}\n  ```  \n',
])("the text %j is an answer", (content) => {
  expect(schema.check(content)).toEqual({ ok: true, value: { n: 4 } });
});

test.each([
  [null, "it is not JSON ("],
  ["", "it is not JSON ("],
  ["four", "it is not JSON ("],
  ['Here: {"n": 4}', "it is not JSON ("],
  ['```python\n{"n": 4}\n```', "it is not JSON ("],
  ['```json\n{"n": 4}', "it is not JSON ("],
])("the text %j is not JSON", (content, problem) => {
  const checked = schema.check(content);
  expect(checked).toMatchObject({ ok: false, problem: expect.stringContaining(problem) });
});

test.each([
  ['{"n": "4"}', "#/n"],
  ["{}", "#: "],
  ["[4]", "#: "],
  ['{"n": 1, "deep": {"x": 2}}', "#/deep/x"],
])("the JSON %s does not fit, and its problem names the place %s", (content, place) => {
  const checked = schema.check(content);
  expect(checked).toMatchObject({ ok: false, problem: expect.stringContaining(place) });
});

test("at most three problems are shown, the innermost last", () => {
  const many = createAnswerSchema({
    type: "object",
    properties: Object.fromEntries([..."abcdef"].map((key) => [key, { type: "integer" }])),
  });
  const checked = many.check(
    JSON.stringify(Object.fromEntries([..."abcdef"].map((k) => [k, "x"]))),
  );
  expect(checked.ok).toBe(false);
  const problem = checked.ok ? "" : checked.problem;
  expect(problem.split("; ")).toHaveLength(3);
  expect(problem.split("; ").at(-1)).toContain("#/f");
});

test("an answer that is nested too deeply does not fit, whatever the schema says", () => {
  const any = createAnswerSchema({});
  const text = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  expect(any.check(text(256)).ok).toBe(true);
  expect(any.check(text(50_000))).toEqual({
    ok: false,
    problem: "it is nested more than 256 levels deep",
  });
});

test("an answer keeps a number beyond a double, and the schema checks its value", () => {
  const text = '{"n": 1234567890123456789}';
  expect(schema.check(text)).toEqual({ ok: true, value: { n: 1234567890123456789n } });
  const small = createAnswerSchema({ properties: { n: { maximum: 5 } } });
  expect(small.check(text).ok).toBe(false);
});
