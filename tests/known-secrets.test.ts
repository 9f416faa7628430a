// Known secrets in text, in JSON and in values.

import { afterEach, expect, test } from "bun:test";
import {
  knowSecret,
  masked,
  maskedJson,
  maskedJsonBytes,
  maskedValue,
} from "../src/known-secrets.ts";

const taken: (() => void)[] = [];
const know = (value: string, name?: string): void => void taken.push(knowSecret(value, name));
afterEach(() => {
  for (const forget of taken.splice(0)) forget();
});

const KEY = "sk-proj-Ab12+/Cd34=Ef56";

test("nothing is masked before a secret is known, and after it was taken back", () => {
  expect(masked(KEY)).toBe(KEY);
  const value = { a: [KEY] };
  expect(maskedValue(value)).toBe(value);
  expect(maskedJson(`"${KEY}"`)).toBe(`"${KEY}"`);
  const forget = knowSecret(KEY);
  expect(masked(KEY)).toBe("***");
  forget();
  expect(masked(KEY)).toBe(KEY);
});

test("a secret is masked by the name of its variable, or by stars", () => {
  know(KEY, "MY_KEY");
  know("another-secret");
  expect(masked(`a ${KEY} and another-secret, ${KEY}`)).toBe("a [MY_KEY] and ***, [MY_KEY]");
});

test("a secret that contains another one is masked whole", () => {
  know("inner-secret", "INNER");
  know("outer-inner-secret-outer", "OUTER");
  expect(masked("outer-inner-secret-outer inner-secret")).toBe("[OUTER] [INNER]");
  know("inner-secret-2", "LONGER");
  expect(masked("inner-secret-2 inner-secret-3")).toBe("[LONGER] [INNER]-3");
});

test("a secret is found escaped for JSON, once and twice, and with other letters as escapes", () => {
  const odd = 'pa"ss\\wö\nrd';
  know(odd);
  const once = JSON.stringify(odd);
  expect(masked(once)).toBe('"***"');
  expect(masked(JSON.stringify(once))).toContain("***");
  expect(masked(JSON.stringify(once))).not.toContain("rd");
  expect(masked(String.raw`"pa\"ss\\w\u00f6\nrd"`)).toBe('"***"');
});

test("a secret is found in a URL", () => {
  know(KEY);
  expect(masked(`https://x/?key=${encodeURIComponent(KEY)}&a=1`)).toBe("https://x/?key=***&a=1");
});

test("a secret is found in base64, wherever it begins, in both alphabets", () => {
  know(KEY);
  for (const before of ["", "u", "us", "user:", "user:x"])
    for (const after of ["", "\n", ":p", "xyz"])
      for (const alphabet of ["base64", "base64url"] as const) {
        const text = Buffer.from(`${before}${KEY}${after}`).toString(alphabet);
        expect(masked(text)).toContain("***");
        expect(Buffer.from(masked(text), "base64").toString("latin1")).not.toContain("Cd34");
      }
});

test("a secret of 8 characters is masked everywhere, and a shorter one only alone and in prose", () => {
  know("12345678");
  know("wörd7", "SHORT");
  expect(masked("x12345678x")).toBe("x***x");
  expect(maskedJson('{"a":"x12345678x wörd7"}')).toBe('{"a":"x***x wörd7"}');
  expect(maskedValue({ a: "wörd7" })).toEqual({ a: "wörd7" });
  expect(masked("wörd7, xwörd7, wörd7x, wörd7")).toBe("[SHORT], xwörd7, wörd7x, [SHORT]");
});

test("a value of 4 characters counts as a secret, and 3 characters do not", () => {
  know("abc4");
  know("abc");
  expect(masked("abc4 abc")).toBe("*** abc");
});

test.each(["EMPTY", "not-needed", "lm-studio", "dummy", "sk-no-key-required"])(
  "%s is no secret, because people write it where no key is needed",
  (dummy) => {
    know(dummy);
    expect(masked(`key ${dummy}`)).toBe(`key ${dummy}`);
  },
);

test("JSON stays valid: a number that is a secret is left, and only strings are masked", () => {
  know("12345678");
  const line = '{"n":12345678,"s":"12345678","12345678":[12345678.5,"a\\"12345678"]}';
  const text = maskedJson(line);
  expect(text).toBe('{"n":12345678,"s":"***","***":[12345678.5,"a\\"***"]}');
  expect(() => JSON.parse(text)).not.toThrow();
});

test("JSON stays valid: a match that begins inside of an escape is none", () => {
  know("n1234567");
  know("00e9abcd");
  for (const line of [
    String.raw`{"a":"\n1234567"}`,
    String.raw`{"a":"\u00e9abcd"}`,
    String.raw`{"a":"\\\n1234567"}`,
  ])
    expect(maskedJson(line)).toBe(line);
  expect(maskedJson(String.raw`{"a":"\\n1234567 \u00e900e9abcd"}`)).toBe(
    String.raw`{"a":"\\*** \u00e9***"}`,
  );
});

test("a secret with quotes is masked in its JSON form, and never across strings", () => {
  know('a","b":"c');
  expect(maskedJson('{"x":"a","b":"c"}')).toBe('{"x":"a","b":"c"}');
  expect(maskedJson(JSON.stringify({ x: 'a","b":"c' }))).toBe('{"x":"***"}');
});

test("JSON is masked from an offset on", () => {
  know("row-secret");
  const line = '{"id":"row-secret","x":"row-secret"}';
  expect(maskedJson(line, '{"id":"row-secret"'.length)).toBe('{"id":"row-secret","x":"***"}');
});

test("UTF-8 is masked as text, and bytes without a secret are returned as they are", () => {
  know("wörd-secret");
  const clean = new TextEncoder().encode('"ein Wort"');
  expect(maskedJsonBytes(clean)).toBe(clean);
  const whole = new TextEncoder().encode('xx"ein wörd-secret, ü"');
  expect(maskedJsonBytes(whole.subarray(2))).toBe('"ein ***, ü"');
});

test("values keep their shape, and parts without a secret stay the same objects", () => {
  know(KEY);
  const clean = { deep: [1, null, "x"] };
  const value = { clean, dirty: [`x${KEY}`, 1], n: 2n, date: new Date(0) };
  const copy = maskedValue(value);
  expect(copy).toEqual({ ...value, dirty: ["x***", 1] });
  expect(copy.clean).toBe(clean);
  expect(copy.date).toBe(value.date);
  expect(value.dirty[0]).toContain(KEY);
});

test("a value that is nested without end is returned", () => {
  know(KEY);
  const loop: unknown[] = [KEY];
  loop.push(loop);
  expect(() => maskedValue(loop)).not.toThrow();
});

test("a secret that is known twice is known until the first is taken back", () => {
  know(KEY, "A");
  know(KEY, "B");
  expect(masked(KEY)).toBe("[A]");
});
