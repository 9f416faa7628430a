// The error class: its facts, its exit codes, and the message of any thrown value.

import { expect, test } from "bun:test";
import { ERROR_CODES, EXIT, LOST_PLACE, MatrixError, messageOf } from "../src/error.ts";

test("anything that can be thrown has a message", () => {
  const odd = new Error("x");
  Object.assign(odd, { message: { deep: 1 } });
  const thrown = [
    new Error("boom"),
    "text",
    7,
    undefined,
    null,
    Symbol("s"),
    {},
    Object.create(null),
    odd,
  ];
  expect(thrown.map(messageOf)).toEqual([
    "boom",
    "text",
    "7",
    "undefined",
    "null",
    "Symbol(s)",
    "[object Object]",
    "something that cannot be printed",
    "[object Object]",
  ]);
});

test("an error has the facts that it was made with, and plain ones for all others", () => {
  const plain = new MatrixError("model_failed", "no");
  expect(plain).toBeInstanceOf(Error);
  expect({ ...plain, message: plain.message, name: plain.name, cause: plain.cause }).toEqual({
    ...{ code: "model_failed", message: "no", name: "MatrixError", cause: undefined },
    ...{ hint: undefined, retryAfterMs: undefined, retryNow: false },
    ...{ status: null, maybeActed: false, problems: [] },
  });
  expect("cause" in plain).toBe(false);
  const facts = {
    ...{ hint: "mend it", cause: new Error("because"), retryAfterMs: 5, retryNow: true },
    ...{ status: 503, maybeActed: true, problems: [{ message: "wrong" }] },
  };
  expect(new MatrixError("peer_failed", "no", facts)).toMatchObject(facts);
});

test("an error before anything is spent exits with 2, of a busy directory with 4, any other with 3", () => {
  const refusals = ERROR_CODES.filter((code) => new MatrixError(code, "").exitCode === 2);
  expect(refusals).toEqual([
    ...(["usage", "recipe_invalid", "dataset_invalid", "module_invalid", "run_refused"] as const),
    "not_private",
    "sandbox_invalid",
  ]);
  expect(new MatrixError("storage_failed", "").exitCode).toBe(3);
  expect(new MatrixError("run_taken", "").exitCode).toBe(3);
  expect(ERROR_CODES.filter((code) => new MatrixError(code, "").exitCode === 4)).toEqual([
    "run_busy",
  ]);
  expect(EXIT).toEqual({ complete: 0, failedAbove: 1, refused: 2, resumable: 3, busy: 4 });
});

test("a task loses its place with its sandbox or with a host that spoilt it, and with nothing else", () => {
  const sandbox = ["sandbox_lost", "sandbox_unavailable", "sandbox_fenced"];
  expect([...LOST_PLACE]).toEqual([...sandbox, "wire_invalid"]);
});
