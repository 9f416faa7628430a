// Which failed steps are tried again, and after how long.

import { expect, test } from "bun:test";
import { type ErrorCode, MatrixError } from "../../src/error.ts";
import { pauseBeforeRetry } from "../../src/host/retry-step.ts";
import { Role } from "../../src/host/role.ts";
import { Step } from "../../src/host/step.ts";
import { taskOf } from "../parts/task.ts";

/** A step after as many tries as `tries` says. */
function stepOf(tries: number, retries = 2): Step {
  const agent = { run: () => ({ result: null }) };
  const role = new Role({ name: "a", agent, concurrency: 1, timeoutMs: 1, retries });
  let step = new Step(taskOf(), role, 0, 0);
  while (step.tries < tries) step = new Step(taskOf(), role, 0, 0, step);
  return step;
}
const pauseOf = (thrown: unknown, tries = 1) => pauseBeforeRetry(stepOf(tries), thrown);
const reset = (more: object = {}) => {
  const cause = Object.assign(new Error("ECONNRESET"), more);
  return new MatrixError("agent_failed", "ECONNRESET", { cause });
};
/** The first pause is at most 250 ms and at least half of that. */
const isAfter = (ms: number | null, afterMs: number) =>
  ms !== null && ms >= afterMs + 125 && ms <= afterMs + 250;

test("a step is tried again after its first try as often as retries says, and no more often", () => {
  expect([1, 2, 3].map((tries) => pauseOf(reset(), tries) !== null)).toEqual([true, true, false]);
  expect(pauseBeforeRetry(stepOf(1, 0), reset())).toBeNull();
});

test("the pause doubles with each try, half of it by chance that the task's seed decides", () => {
  expect(isAfter(pauseOf(reset()), 0)).toBe(true);
  const second = pauseOf(reset(), 2) ?? 0;
  expect(second >= 250 && second <= 500).toBe(true);
  expect(pauseOf(reset())).toBe(pauseOf(reset()));
});

test.each<[ErrorCode, boolean]>([
  ["agent_failed", true],
  ["agent_timeout", true],
  ["sandbox_bad_answer", true],
  ["task_timeout", false],
  ["sandbox_lost", false],
  ["program_failed", false],
  ["sandbox_fenced", false],
  ["model_failed", false],
  ["schema_mismatch", false],
  ["prompt_failed", false],
  ["not_recorded", false],
])("an error with the code %s is tried again: %p", (code, isRetried) => {
  expect(pauseOf(new MatrixError(code, "no")) !== null).toBe(isRetried);
});

test("whatever escapes from user code is tried again, also what is no error", () => {
  for (const thrown of [new TypeError("no"), "text", null, undefined])
    expect(isAfter(pauseOf(thrown), 0)).toBe(true);
});

test("an error with fatal = true ends its step, and any other value of fatal does not", () => {
  expect(pauseOf(reset({ fatal: true }))).toBeNull();
  expect(pauseOf(Object.assign(new Error("no"), { fatal: true }))).toBeNull();
  expect(pauseOf(reset({ fatal: "yes" }))).not.toBeNull();
});

test("the pause that an error asks for comes before the backoff", () => {
  expect(isAfter(pauseOf(reset({ retryAfterMs: 5000 })), 5000)).toBe(true);
  expect(isAfter(pauseOf(reset({ retryAfterMs: -1 })), 0)).toBe(true);
  expect(isAfter(pauseOf(reset({ retryAfterMs: "5" })), 0)).toBe(true);
  const headers = new Headers({ "Retry-After": "3" });
  expect(isAfter(pauseOf(reset({ headers })), 3000)).toBe(true);
  expect(isAfter(pauseOf(reset({ response: { headers } })), 3000)).toBe(true);
  expect(isAfter(pauseOf(reset({ headers: { "retry-after": "2" } })), 2000)).toBe(true);
  expect(isAfter(pauseOf(reset({ headers: { "retry-after": "soon" } })), 0)).toBe(true);
  expect(isAfter(pauseOf(reset({ headers: null, response: undefined })), 0)).toBe(true);
});
