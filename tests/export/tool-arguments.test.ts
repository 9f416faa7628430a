import { expect, test } from "bun:test";
import { argumentsOf } from "../../src/export/tool-arguments.ts";

test.each<[text: string, written: string]>([
  ['{"name": "Ann",  "limit": 10}', '{"name":"Ann","limit":10}'],
  ["{}", "{}"],
  ["", "{}"],
  [" \n", "{}"],
  [
    '{"a":1.0,"b":12345678901234567890,"c":[1e3,-0,0.1],"d":{"e":1.50}}',
    '{"a":1.0,"b":12345678901234567890,"c":[1e3,-0,0.1],"d":{"e":1.50}}',
  ],
  [
    '{"id":9007199254740993,"text":"9007199254740993"}',
    '{"id":9007199254740993,"text":"9007199254740993"}',
  ],
  ['{"__proto__":{"a":1}}', '{"__proto__":{"a":1}}'],
])("the arguments %j are the object %s, with its numbers as they were written", (text, written) => {
  expect(JSON.stringify(argumentsOf(text))).toBe(written);
});

test.each(['{"city": ', "[1]", '"x"', "7", "null", '"{}"', "Ann"])(
  "the arguments %s, which are no object, stay text",
  (text) => {
    expect(argumentsOf(text)).toBe(text);
  },
);
