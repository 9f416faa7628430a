// Which texts count as an answer of a schema.

import { expect, test } from "bun:test";
import { createAnswerSchema } from "../../src/agent/schema.ts";
import type { JsonObject } from "../../src/task/json.ts";

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

test("a number of 4300 digits fits, and a longer one does not, wherever it stands", () => {
  const any = createAnswerSchema({});
  const number = (digits: number) => "7".repeat(digits);
  const texts = (digits: number) => [number(digits), `{"a": [{"b": ${number(digits)}}]}`];
  for (const text of texts(4300)) expect(any.check(text).ok).toBe(true);
  for (const text of [...texts(4301), `[1, ${number(200_000)}]`])
    expect(any.check(text)).toEqual({
      ok: false,
      problem: "it has a number of more than 4300 characters",
    });
  expect(any.check(`"${number(5000)}"`).ok).toBe(true);
});

test("an answer keeps a number beyond a double, and the schema checks its value", () => {
  const text = '{"n": 1234567890123456789}';
  expect(schema.check(text)).toEqual({ ok: true, value: { n: 1234567890123456789n } });
  const small = createAnswerSchema({ properties: { n: { maximum: 5 } } });
  expect(small.check(text).ok).toBe(false);
});

test.each([
  ["white space in a fence", `\`\`\`json\n${"\n ".repeat(200_000)}x`],
  ["white space in a closed fence", `\`\`\`json\n${"\n ".repeat(200_000)}x\`\`\``],
  ["white space before a fence", `${" \n".repeat(200_000)}\`\`\`x`],
  ["fences without end", "\n```".repeat(100_000)],
])("%s is read once and is no answer", (_name, text) => {
  expect(createAnswerSchema({}).check(text).ok).toBe(false);
});

test.each([
  ["```json\n\n4\n\n```", 4],
  ["```\u2028\n4\n\u00a0```", 4],
  ["```json 4\n```", null],
  ["```json\n4```", null],
  ["```4```", null],
  ["`````", null],
  ["```json", null],
])("the fenced text %j gives %j", (text, value) => {
  const checked = createAnswerSchema({ type: "integer" }).check(text);
  expect(checked.ok ? checked.value : null).toEqual(value);
});

const evil = `${"a".repeat(50_000)}b`;

test.each<[string, JsonObject, JsonObject, JsonObject]>([
  [
    "pattern",
    { properties: { t: { type: "string", pattern: "^(a+)+$" } } },
    { t: evil },
    { t: "aaa" },
  ],
  [
    "pattern beside a format",
    { properties: { t: { format: "email", pattern: "^(a|a)*@x.org$" } } },
    { t: evil },
    { t: "aa@x.org" },
  ],
  [
    "pattern beside allOf and a format",
    {
      properties: { t: { allOf: [{ minLength: 2 }], format: "email", pattern: "^(a|a)*@x.org$" } },
    },
    { t: "@x.org" },
    { t: "a@x.org" },
  ],
  ["propertyNames", { propertyNames: { pattern: "^(a+)+$" } }, { [evil]: 1 }, { aa: 1 }],
  [
    "patternProperties",
    { patternProperties: { "^(a+)+b": { type: "integer" } }, additionalProperties: false },
    { [evil]: "x" },
    { [evil]: 1, ab: 2 },
  ],
  [
    "patternProperties beside properties and another pattern",
    {
      properties: { ab: { minimum: 2 } },
      patternProperties: { "^a": { type: "integer" }, b$: { maximum: 9 } },
      additionalProperties: false,
    },
    { ab: 10 },
    { ab: 3, a: 1, b: 9 },
  ],
  [
    "patternProperties below a reference",
    { $ref: "#/$defs/a", $defs: { a: { patternProperties: { "^x": { const: 1 } } } } },
    { x1: 2 },
    { x1: 1, y: 2 },
  ],
  [
    "the format url",
    { properties: { t: { format: "url" } } },
    { t: `http://${"a-".repeat(40)} x` },
    { t: "https://x.org/a" },
  ],
])("%s is checked in time with the answer alone", (_name, definition, wrong, right) => {
  const schema = createAnswerSchema(definition);
  expect(schema.check(JSON.stringify(right))).toEqual({ ok: true, value: right });
  expect(schema.check(JSON.stringify(wrong)).ok).toBe(false);
  expect(schema.definition).toBe(definition);
});

test("the words pattern and patternProperties may name properties and stand in data", () => {
  const definition = {
    properties: {
      pattern: { type: "string" },
      patternProperties: { const: { pattern: "(" } },
      const: { pattern: "^a$" },
    },
    enum: [{ pattern: "(", patternProperties: { pattern: "(" }, const: "a" }],
  };
  const schema = createAnswerSchema(definition);
  const [value] = definition.enum;
  expect(schema.check(JSON.stringify(value))).toEqual({ ok: true, value: value as never });
  expect(schema.check(JSON.stringify({ ...value, const: "b" })).ok).toBe(false);
});

test("a text that misses a pattern is told the pattern", () => {
  const schema = createAnswerSchema({ properties: { t: { pattern: "^a$" } } });
  expect(schema.check('{"t": "b"}')).toMatchObject({
    problem: expect.stringContaining('#/t: String does not match pattern "^a$"'),
  });
});

test("a pattern that no linear engine matches is refused with its words", () => {
  const lookahead = { properties: { t: { pattern: "^(?=a)b" } } };
  expect(() => createAnswerSchema(lookahead)).toThrow(
    'the schema\'s pattern "^(?=a)b" cannot be checked: ',
  );
  expect(() => createAnswerSchema({ patternProperties: { "(": {} } })).toThrow(
    'the schema\'s patternProperties "(" cannot be checked: ',
  );
});

test.each([
  [{ type: "objct" }, "objct", 'did you mean "object"?'],
  [{ items: { properties: { type: { type: ["string", "nul"] } } } }, "nul", 'did you mean "null"?'],
  [{ anyOf: [{ type: "text" }] }, "text", "types: array, boolean, integer, null"],
])(
  "the schema %j is refused for its type, with the one that was probably meant",
  (schema, type, hint) => {
    expect(() => createAnswerSchema(schema)).toThrow(
      expect.objectContaining({
        code: "recipe_invalid",
        message: `the schema's type "${type}" is not a type of JSON Schema`,
        hint: expect.stringContaining(hint),
      }),
    );
  },
);

test("every type of JSON Schema is taken, and a word that is data or a name is no type", () => {
  for (const type of ["array", "boolean", "integer", "null", "number", "object", "string"])
    createAnswerSchema({ type });
  createAnswerSchema({ properties: { type: { const: { type: "objct" } } }, enum: [{ type: "x" }] });
});

test("uniqueItems compares lists of up to 5000 items", () => {
  const schema = createAnswerSchema({ type: "array", uniqueItems: true });
  const items = Array.from({ length: 5001 }, (_, index) => ({ index }));
  expect(schema.check(JSON.stringify(items.slice(1))).ok).toBe(true);
  expect(schema.check(JSON.stringify([...items.slice(2), items[2]])).ok).toBe(false);
  expect(schema.check(JSON.stringify(items))).toEqual({
    ok: false,
    problem: "it has a list of 5001 items; with uniqueItems, at most 5000 are compared",
  });
  expect(createAnswerSchema({ type: "array" }).check(JSON.stringify(items)).ok).toBe(true);
});

test("an answer of very many different keys is not checked against patterns of keys", () => {
  const schema = createAnswerSchema({
    items: { patternProperties: { "^k": { type: "integer" } } },
  });
  const items = (count: number) => Array.from({ length: count }, (_, n) => ({ [`k${n}`]: n }));
  expect(schema.check(JSON.stringify(items(100))).ok).toBe(true);
  expect(schema.check(JSON.stringify(items(5000)))).toEqual({
    ok: false,
    problem: "it has too many different keys to be checked",
  });
});

test("an answer of more than a MiB is told its first problem alone", () => {
  const schema = createAnswerSchema({ items: { type: "string" } });
  const checked = schema.check(JSON.stringify(Array.from({ length: 600_000 }, () => 1)));
  expect(checked.ok ? "" : checked.problem).toContain("#/0: ");
  const short = schema.check(JSON.stringify(Array.from({ length: 60 }, () => 1)));
  expect(short.ok ? "" : short.problem).toContain("#/59: ");
});
