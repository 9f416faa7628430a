// The retry loop: which errors are tried again, how often, after how long and until when. `random`
// is 0 here, so the first pause is 125 ms; errors that may be retried at once cost no time.

import { expect, test } from "bun:test";
import { type ErrorCode, MatrixError, type MatrixErrorOptions } from "../../src/error.ts";
import { backoffMs, pause, type RetryOptions, retry } from "../../src/model/retry.ts";

const patient = new AbortController().signal;

/**
 * Retries a call that fails with each of these errors in turn, then answers. Answers the tries and
 * the end.
 */
async function play(errors: readonly Error[], options: Partial<RetryOptions> = {}) {
  const tries: number[] = [];
  const end = await retry(
    async (number) => {
      tries.push(number);
      const error = errors[tries.length - 1];
      if (error !== undefined) throw error;
      return "answer";
    },
    { retries: 2, deadlineMs: 60_000, signal: patient, random: () => 0, ...options },
  ).catch((thrown: unknown) => thrown);
  return { tries, end };
}
const error = (code: ErrorCode, options: MatrixErrorOptions = { retryNow: true }) =>
  new MatrixError(code, code, options);
const times = (count: number, code: ErrorCode) => Array.from({ length: count }, () => error(code));

test("an answer at the first try, which has number 0, ends the loop", async () => {
  expect(await play([])).toEqual({ tries: [0], end: "answer" });
});

for (const code of ["model_unavailable", "model_overloaded"] as const) {
  test(`${code} is tried again beyond the retries, until the deadline`, async () => {
    expect(await play(times(10, code))).toEqual({
      tries: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      end: "answer",
    });
    const failure = error(code);
    expect(await play([failure], { deadlineMs: 0 })).toEqual({ tries: [0], end: failure });
  });
}

for (const code of ["model_lost", "model_failed", "model_timeout", "model_bad_answer"] as const) {
  test(`${code} is tried again as often as the retries allow`, async () => {
    expect(await play(times(2, code))).toEqual({ tries: [0, 1, 2], end: "answer" });
    const errors = times(4, code);
    const { tries, end } = await play(errors);
    expect(tries).toEqual([0, 1, 2]);
    expect(end).toBe(errors[2]);
    expect((await play(times(1, code), { retries: 0 })).tries).toEqual([0]);
  });
}

test("a server that is away does not use up the retries", async () => {
  const errors = [
    ...times(5, "model_unavailable"),
    ...times(2, "model_failed"),
    ...times(1, "model_overloaded"),
  ];
  expect((await play(errors)).end).toBe("answer");
  const last = error("model_failed");
  expect((await play([...errors, last])).end).toBe(last);
});

for (const code of ["model_refused_request", "agent_failed", "recipe_invalid"] as const) {
  test(`${code} is not tried again`, async () => {
    expect((await play(times(1, code))).tries).toEqual([0]);
  });
}

test("an error that is not a MatrixError ends the loop as it is", async () => {
  const bug = new TypeError("a bug");
  expect(await play([bug])).toEqual({ tries: [0], end: bug });
});

test("a Retry-After beyond the deadline ends the loop, and a short one does not", async () => {
  const overloaded = (retryAfterMs: number) => error("model_overloaded", { retryAfterMs });
  expect((await play([overloaded(10_000)], { deadlineMs: 5000 })).tries).toEqual([0]);
  expect((await play([overloaded(1)], { deadlineMs: 5000 })).tries).toEqual([0, 1]);
});

test("a try is told the deadline of the whole request", async () => {
  const began = performance.now();
  const deadlines: number[] = [];
  await retry(
    async (tries, deadline) => {
      deadlines.push(deadline);
      if (tries < 2) throw error("model_overloaded");
    },
    { retries: 0, deadlineMs: 5000, signal: patient, random: () => 0 },
  );
  expect(new Set(deadlines).size).toBe(1);
  expect(deadlines[0]).toBeGreaterThanOrEqual(began + 5000);
  expect(deadlines[0]).toBeLessThan(performance.now() + 5000);
});

test("an aborted signal ends the loop, after a try and during a pause", async () => {
  const reason = new Error("stop");
  expect(await play([error("model_failed")], { signal: AbortSignal.abort(reason) })).toEqual({
    tries: [0],
    end: reason,
  });
  const controller = new AbortController();
  const playing = play([error("model_overloaded", { retryAfterMs: 30_000 })], {
    signal: controller.signal,
  });
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(reason);
  expect((await playing).end).toBe(reason);
});

test("the backoff doubles from 250 ms to 30 s, and half of it is random", () => {
  const none = [0, 1, 2, 6, 7, 20].map((tries) => backoffMs(tries, () => 0));
  expect(none).toEqual([125, 250, 500, 8000, 15_000, 15_000]);
  expect(backoffMs(0, () => 1)).toBe(250);
  expect(backoffMs(1, () => 0.5)).toBe(375);
  expect(backoffMs(20, () => 1)).toBe(30_000);
});

test("a pause of no time ends at once, also when its signal has aborted", async () => {
  await pause(0, AbortSignal.abort());
  await pause(-5, AbortSignal.abort());
  await expect(pause(1, AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
});
