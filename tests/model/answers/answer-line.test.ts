// Lines of kept answers: what a key covers, what a line holds, and what is not a line.

import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  encodeAnswer,
  encodeNote,
  keyOfLine,
  noteOfLine,
  parseAnswer,
  parseSegmentName,
  requestKey,
  segmentName,
} from "../../../src/model/answers/answer-line.ts";
import type { ChatRequest } from "../../../src/model/contract.ts";
import { answerOf, requestOf } from "./made.ts";

const KEY = requestKey("m", requestOf("a"));

test("a key does not depend on who asks, nor on the order of a table's keys", () => {
  expect(KEY).toMatch(/^[\w-]{43}$/);
  const request: ChatRequest = {
    ...requestOf("a"),
    sampling: { temperature: 1, stop: ["x"], extra: { a: 1, b: 2, c: 3 } },
  };
  const same = {
    ...request,
    sampling: { extra: { c: 3, b: 2, a: 1 }, stop: ["x"], temperature: 1 },
    origin: null,
  };
  expect(requestKey("m", same)).toBe(requestKey("m", request));
});

test("a key covers the model and every part of the request that decides the answer", () => {
  const request = requestOf("a");
  const others: readonly (readonly [string, ChatRequest])[] = [
    ["m", request],
    ["n", request],
    ["m", { ...request, seed: 9 }],
    ["m", { ...request, sampling: { temperature: 2 } }],
    ["m", { ...request, sampling: {} }],
    ["m", { ...request, tools: [] }],
    ["m", { ...request, tools: [{ a: 1 }] }],
    ["m", { ...request, schema: {} }],
    ["m", { ...request, messages: [] }],
    ["m", { ...request, messages: [{ role: "system", content: "a, turn 0" }] }],
    ["m", { ...request, messages: [...request.messages, ...request.messages] }],
  ];
  expect(new Set(others.map(([model, other]) => requestKey(model, other))).size).toBe(
    others.length,
  );
});

test("a list keeps its order in a key", () => {
  const stop = (...words: string[]) => ({ ...requestOf("a"), sampling: { stop: words } });
  expect(requestKey("m", stop("a", "b"))).not.toBe(requestKey("m", stop("b", "a")));
});

test("keys of tables are the same in every order, however many there are", () => {
  const words = fc.uniqueArray(fc.string(), { maxLength: 12 });
  fc.assert(
    fc.property(words, (keys) => {
      const keyOf = (order: readonly string[]) => {
        const extra = Object.fromEntries(order.map((key) => [key, keys.indexOf(key)]));
        return requestKey("m", { ...requestOf("a"), sampling: { extra } });
      };
      expect(keyOf(keys.toReversed())).toBe(keyOf(keys));
      expect(keyOf(keys.toSorted())).toBe(keyOf(keys));
    }),
  );
});

test("a line begins with its key, ends with a newline and is read back", () => {
  const line = encodeAnswer(KEY, "m", requestOf("a"), answerOf("said \u2028 \n 😀"));
  expect(line).toStartWith(`{"key":"${KEY}"`);
  expect(line.indexOf("\n")).toBe(line.length - 1);
  expect(parseAnswer(line)).toEqual({
    key: KEY,
    row: "a",
    trial: 0,
    model: "m",
    answer: answerOf("said \u2028 \n 😀"),
  });
});

test("an answer to a request of no task has no row and no trial", () => {
  const line = encodeAnswer(KEY, "m", { ...requestOf("a"), origin: null }, answerOf("x"));
  expect(parseAnswer(line)).toMatchObject({ row: null, trial: null });
});

test("a line without a whole answer is none", () => {
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    "{}",
    '{"answer":5}',
    '{"answer":{"message":{}}}',
    '{"answer":{"usage":{}}}',
    '{"answer":{"message":"x","usage":{}}}',
  ])
    expect(parseAnswer(text)).toBeNull();
  expect(parseAnswer('{"answer":{"message":{},"usage":{}}}')).not.toBeNull();
});

test("the key of a line is read off its beginning, and a line that is not an answer has none", () => {
  const line = encodeAnswer(KEY, "m", requestOf("a"), answerOf("x")).trimEnd();
  const keyOf = (text: string) => keyOfLine(Buffer.from(text));
  expect(keyOf(line)).toBe(KEY);
  expect(keyOf(line.replace(/}+$/, ""))).toBeNull();
  expect(keyOf(line.replace('{"key"', '{"yek"'))).toBeNull();
  expect(keyOf(`{"key":"${"k".repeat(42)}}`)).toBe(`${"k".repeat(42)}}`);
  expect(keyOf(`{"key":"${"k".repeat(41)}}`)).toBeNull();
  expect(keyOf("")).toBeNull();
});

test("a note of a request is told from an answer by its whole line", () => {
  for (const note of ["wanted", "asked", "dropped"] as const) {
    const line = encodeNote(KEY, note);
    expect(line).toBe(`{"key":"${KEY}","note":"${note}"}\n`);
    expect([keyOfLine(Buffer.from(line.trimEnd())), parseAnswer(line)]).toEqual([KEY, null]);
    expect(noteOfLine(Buffer.from(line.trimEnd()))).toBe(note);
    expect(noteOfLine(Buffer.from(` ${line.trimEnd()}`))).toBeNull();
  }
  for (const text of ["", `{"key":"${KEY}","note":"other"}`, `{"key":"${KEY}","note":"askeD"}`])
    expect(noteOfLine(Buffer.from(text))).toBeNull();
  const answer = encodeAnswer(KEY, "m", requestOf("a"), answerOf('","note":"asked"}'));
  expect(noteOfLine(Buffer.from(answer.trimEnd()))).toBeNull();
});

test("a key is computed once for a request, and again for another model", () => {
  const request = requestOf("a");
  expect(requestKey("m", request)).toBe(requestKey("m", { ...request }));
  expect(requestKey("n", request)).toBe(requestKey("n", { ...request }));
  expect(requestKey("m", request)).not.toBe(requestKey("n", request));
});

test("segments are named by their writer and their number, and other files are none", () => {
  expect(segmentName("host-1", 12)).toBe("host-1-12.jsonl");
  expect(parseSegmentName("host-1-12.jsonl")).toEqual({ writer: "host-1", number: 12 });
  for (const name of ["x.jsonl", "-1.jsonl", "a-1.json", "a-1.jsonl.tmp", "a-b.jsonl", "a1.jsonl"])
    expect(parseSegmentName(name)).toBeNull();
});
