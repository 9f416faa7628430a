import { expect, test } from "bun:test";
import { type Element, splitArray } from "../../src/dataset/json-array.ts";

async function split(text: string, piece = text.length, max = 100) {
  const elements: Element[] = [];
  async function* pieces() {
    for (let at = 0; at < text.length; at += piece) yield text.slice(at, at + piece);
  }
  let error: string | null = null;
  try {
    for await (const batch of splitArray(pieces(), max)) elements.push(...batch);
  } catch (cause) {
    const { line, message } = cause as { line: number; message: string };
    error = `${line}: ${message}`;
  }
  return { elements: elements.map(({ line, text }) => [line, text.trim()]), error };
}

test.each<[text: string, elements: [line: number, text: string][]]>([
  ["", []],
  [" \n ", []],
  ["[]", []],
  [" [ \n ] \n", []],
  ["[1]", [[1, "1"]]],
  [
    '[{"a":[1,{}]},\n "x,]", \nnull\n]\n',
    [
      [1, '{"a":[1,{}]}'],
      [2, '"x,]"'],
      [3, "null"],
    ],
  ],
  [
    '["\\"],","\\\\",1]',
    [
      [1, '"\\"],"'],
      [1, '"\\\\"'],
      [1, "1"],
    ],
  ],
  [
    '[\n\n{"a":\n1},\n{\n}]',
    [
      [3, '{"a":\n1}'],
      [5, "{\n}"],
    ],
  ],
  [
    "[1,]",
    [
      [1, "1"],
      [1, ""],
    ],
  ],
  [
    "[,\n1]",
    [
      [1, ""],
      [2, "1"],
    ],
  ],
  [
    "[1,,2]",
    [
      [1, "1"],
      [1, ""],
      [1, "2"],
    ],
  ],
  ["[1 2]", [[1, "1 2"]]],
  [
    "[1},2]",
    [
      [1, "1}"],
      [1, "2"],
    ],
  ],
])(
  "the values of %j are told with their lines, however the text is cut",
  async (text, elements) => {
    for (const piece of [1, 2, 3, Math.max(text.length, 1)])
      expect(await split(text, piece)).toEqual({ elements, error: null });
  },
);

test.each<[text: string, error: string]>([
  ["\n[1", "2: the JSON array is cut short"],
  ["[", "1: the JSON array is cut short"],
  ['["]', "1: the JSON array is cut short"],
  ["[1,", "1: the JSON array is cut short"],
  ["[1]\n[2]", "2: text follows the JSON array"],
  ["[1] ]", "1: text follows the JSON array"],
  [
    '{"a":1}',
    '1: the file is not a JSON array of rows (for one row a line, set dataset.format = "jsonl")',
  ],
])("the text %j is no JSON array, after the values before", async (text, error) => {
  for (const piece of [1, text.length]) expect((await split(text, piece)).error).toBe(error);
});

test("a value may have as many characters as are allowed, and no more", async () => {
  expect(await split('["aa","b"]', 3, 4)).toEqual({
    elements: [
      [1, '"aa"'],
      [1, '"b"'],
    ],
    error: null,
  });
  const { elements, error } = await split('[1,\n"aaa", 2]', 3, 4);
  expect(elements).toEqual([[1, "1"]]);
  expect(error).toStartWith("2: the row has more than the ");
});
