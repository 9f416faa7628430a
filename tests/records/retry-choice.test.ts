// The words that choose which records run again.

import { expect, test } from "bun:test";
import { isChosen, parseRetryChoice } from "../../src/records/retry-choice.ts";
import { failedRecordOf, recordOf } from "./made.ts";

test("statuses, stop reasons and error codes may stand in one choice, with spaces around them", () => {
  expect([...parseRetryChoice("failed")]).toEqual(["failed"]);
  expect([...parseRetryChoice("lost, model_failed ,cut")]).toEqual(["lost", "model_failed", "cut"]);
});

test.each([
  ["faild", 'did you mean "failed"?'],
  ["modle_failed", 'did you mean "model_failed"?'],
  ["failed,timeuot", 'did you mean "timeout"?'],
])("the unknown word in --retry %s is refused with the nearest one", (text, hint) => {
  const word = text.split(",").at(-1) ?? "";
  expect(() => parseRetryChoice(text)).toThrow(
    expect.objectContaining({
      code: "usage",
      message: `--retry ${text}: "${word}" is not a status, an error code or a stop reason`,
      hint,
    }),
  );
});

test("a word that is near to none is refused with the words that there are", () => {
  for (const text of ["everything-else", "failed,,cut", ""])
    expect(() => parseRetryChoice(text)).toThrow(
      expect.objectContaining({ code: "usage", hint: expect.stringMatching(/failed|cut/) }),
    );
  expect(() => parseRetryChoice("ok")).toThrow("is not a status");
});

test("a record is chosen by its status, its stop reason or its error code", () => {
  const cut = recordOf("a", { stop_reason: "cut" });
  const failed = failedRecordOf("b");
  const chosen = (...words: string[]) =>
    [cut, failed].filter((record) => isChosen(new Set(words), record)).map(({ id }) => id);
  expect(chosen("failed")).toEqual(["b"]);
  expect(chosen("agent_failed")).toEqual(["b"]);
  expect(chosen("error")).toEqual(["b"]);
  expect(chosen("cut")).toEqual(["a"]);
  expect(chosen("cut", "failed")).toEqual(["a", "b"]);
  expect(chosen("lost", "model_failed")).toEqual([]);
});

test("a record of few fields is chosen by those that it has", () => {
  expect(isChosen(new Set(["lost"]), { status: "lost" })).toBe(true);
  expect(isChosen(new Set(["cut", "model_failed"]), { status: "failed" })).toBe(false);
});
