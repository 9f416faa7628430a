import { expect, test } from "bun:test";
import { repeatedKey } from "../../src/dataset/repeated-key.ts";
import { parseJson } from "../../src/task/exact.ts";

test.each<[text: string, key: string | null]>([
  ['{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}', null],
  ['{"a":1,"a":1}', "a"],
  ['{"a" \n : 1, "a"\t: 2}', "a"],
  ['{"x":{"k":1,"b":2,"k":3}}', "k"],
  ['[[{"z":1,"z":2}]]', "z"],
  ['{"a":1,"\\u0061":2}', "a"],
  ['{"":1,"":2}', ""],
  ['{"__proto__":1,"__proto__":2}', "__proto__"],
  ['{"__proto__":1,"a":2}', null],
  ['{"a":"b\\":1, \\"b\\":2"}', null],
  ['{"a":"\\\\","b":"\\":","a":0}', "a"],
  ['{"a":"}","b":["]","\\":"],"c":"{"}', null],
  ['{"a":["a","a"],"b":"a"}', null],
  ['{"a":"\\":","b":12345678901234567890,"c":1e400}', null],
  ['"\\":"', null],
  ["null", null],
])("the repeated key of %s is %p", (text, key) => {
  expect(repeatedKey(text, parseJson(text))).toBe(key);
});
