// Which messages of a model the official runner takes for errors.

import { expect, test } from "bun:test";
import { isBlank, problemOf, type Spoken } from "../../recipes/tau2/message.ts";

const said = (content: string | null): Spoken => ({ role: "assistant", content, tool_calls: null });
const calling = (text: string, name = "f", content: string | null = null): Spoken => ({
  role: "assistant",
  content,
  tool_calls: [{ id: "c", name, arguments: text, requestor: "assistant" }],
});

test("blank to Python's strip are its own white space and nothing else", () => {
  for (const blank of [
    null,
    "",
    " \t\n\v\f\r",
    "\x1c\x1d\x1e\x1f",
    "\x85\xa0",
    "\u1680\u2000\u200a",
  ])
    expect(isBlank(blank)).toBe(true);
  expect(isBlank("\u2028\u2029\u202f\u205f\u3000")).toBe(true);
  for (const text of ["\ufeff", "\u200b", "\u180e", "\x00", "\x1b", "a ", " a"])
    expect(isBlank(text)).toBe(false);
});

test("a message without calls is empty when it is blank, and a solo agent must call a tool", () => {
  expect(problemOf(said(" \x85"), false)).toBe("is empty");
  expect(problemOf(said("yes"), false)).toBeNull();
  expect(problemOf(said(null), true)).toBe("is empty");
  expect(problemOf(said("###STOP###"), true)).toBe("calls no tool");
});

test.each([
  "{}",
  ' { "a" : 1.0 } ',
  '{"a": NaN, "b": -Infinity, "c": [Infinity]}',
  '{"a": "NaN \\" Infinity"}',
  '{"a": "\\ud800"}',
  '{"a": 1, "a": 2}',
  '{"a": 1e999}',
  `{"a": ${"9".repeat(4300)}}`,
  `{"a": ${"9".repeat(4301)}.0}`,
  `{"a": "${"9".repeat(4301)}"}`,
])("Python reads the arguments %#", (text) => {
  expect(problemOf(calling(text), false)).toBeNull();
});

test.each([
  "",
  "NaN",
  "null",
  "[]",
  '"a"',
  '{"a": -NaN}',
  '{"a": +Infinity}',
  '{"a": nan}',
  '{"a": 1NaN}',
  '{"a": NaN1}',
  '{"a": NaNNaN}',
  "{NaN: 1}",
  '{"a": undefined}',
  '{"a": 1,}',
  '{"a": "NaN}',
  '{"a": "\n"}',
  "\ufeff{}",
  `{"a": ${"9".repeat(4301)}}`,
  `{"a": -${"9".repeat(4301)}}`,
])("Python does not read the arguments %#", (text) => {
  expect(problemOf(calling(text), false)).toBe("calls f with arguments that are not a JSON object");
});

test("a call without a name is a turn, and is named so when its arguments are at fault", () => {
  expect(problemOf(calling("{}", ""), false)).toBeNull();
  expect(problemOf(calling("x", ""), false)).toBe(
    "calls a tool without a name with arguments that are not a JSON object",
  );
});

test("a solo agent cannot stop and call at once, unless it calls the tool that stops", () => {
  expect(problemOf(calling("{}", "f", "###STOP###"), true)).toBe("stops and calls tools at once");
  expect(problemOf(calling("{}", "f", "###STOP###"), false)).toBeNull();
  expect(problemOf(calling("{}", "done", "###STOP###"), true)).toBeNull();
  expect(problemOf(calling("{}", "f", "done"), true)).toBeNull();
});

test("long texts that are no arguments are judged in time that grows with them alone", () => {
  for (const text of ['\\"'.repeat(500_000), '"'.repeat(999_999), "N".repeat(1_000_000)])
    expect(problemOf(calling(text), false)).not.toBeNull();
});
