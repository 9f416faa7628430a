// Regular expressions of recipes and rows: linear time, and JavaScript's meaning.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { compilePattern, matchesPattern } from "../../src/task/linear-pattern.ts";

test.each([
  ["^(a+)+$", `${"a".repeat(100_000)}b`],
  ["(x+x+)+y", "x".repeat(100_000)],
  ["^(a|a)*b$", "a".repeat(100_000)],
  [String.raw`^\s*(\s*,)*$`, `${" ".repeat(100_000)}x`],
  ["(?<=a+)(b|b)+c", `a${"b".repeat(10_000)}`],
])("the pattern %s answers at once about a text with very many ways to match", (pattern, text) => {
  expect(compilePattern(pattern)(text)).toBe(false);
  expect(matchesPattern(text, pattern)).toBe(false);
});

const SAME = [
  String.raw`^\s+$`,
  String.raw`^[\s,]+$`,
  String.raw`^\S$`,
  String.raw`^[\S ]$`,
  String.raw`^[^\s]$`,
  "^a.b$",
  "^[.]$",
  String.raw`^\.$`,
  String.raw`^\u0041$`,
  String.raw`^\u{1F600}$`,
  String.raw`^\p{Script=Greek}$`,
  String.raw`^\P{Lu}$`,
  String.raw`^\p{gc=Lu}+$`,
  String.raw`^[\b]$`,
  String.raw`\bx\b`,
  "^[^]$",
  String.raw`^[\]a]+$`,
  String.raw`^(?<year>\d{4})-(?:0[1-9]|1[0-2])$`,
  String.raw`^\w+(?:-\w+)*$`,
  "^$",
  "a|b",
];
const TEXTS = [
  ..."\t\n\v\f\r \u00a0\u1680\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u0085",
  ..."aAbxZ.,]-_\bΩω😀\u0000\u007f\u{10ffff}",
  "",
  "a\rb",
  "a\nb",
  "a\u2028b",
  "a😀b",
  "2026-11",
  "2026-13",
  "ab-cd",
  "ab-",
  "]a]",
];

test.each(SAME)("the pattern %s matches what it matches in JavaScript", (pattern) => {
  const own = compilePattern(pattern);
  const native = new RegExp(pattern, "u");
  for (const text of TEXTS) expect([text, own(text)]).toEqual([text, native.test(text)]);
});

test("random patterns of classes, repeats and choices match as in JavaScript", () => {
  const atom = fc.constantFrom("a", "b", ".", String.raw`\s`, String.raw`\S`, String.raw`[a\s]`);
  const part = fc
    .tuple(atom, fc.constantFrom("", "*", "+", "?", "{2}"))
    .map(([one, times]) => one + times);
  const pattern = fc
    .array(part, { minLength: 1, maxLength: 4 })
    .chain((parts) => fc.constantFrom(parts.join(""), `^${parts.join("")}$`, parts.join("|")));
  const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "\n", "\u00a0"), maxLength: 6 });
  fc.assert(
    fc.property(pattern, text, (source, given) => {
      expect(compilePattern(source)(given)).toBe(new RegExp(source, "u").test(given));
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["(", /./],
  [String.raw`\q`, /./],
  ["^(?=.*a)b", /lookahead|\(\?=/],
  [String.raw`(a)\1`, /back-references such as \\1 are not allowed/],
  [String.raw`(?<x>a)\k<x>`, /back-references such as \\k are not allowed/],
])("the pattern %s is refused", (pattern, words) => {
  expect(() => compilePattern(pattern)).toThrow(words);
});

test("CEL's patterns are RE2's, with its flags", () => {
  expect(matchesPattern("a ABC", "(?i)abc$")).toBe(true);
  expect(matchesPattern("a ABC", "abc$")).toBe(false);
  expect(() => matchesPattern("a", "(?=a)")).toThrow();
});

test("more patterns than are kept still answer", () => {
  for (let n = 0; n < 1500; n++) expect(matchesPattern(`n${n}`, `^n${n}$`)).toBe(true);
});
