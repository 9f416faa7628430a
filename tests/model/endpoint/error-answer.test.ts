// Error answers of an endpoint: each status and code has its own error, and some are
// outcomes of the task.

import { expect, test } from "bun:test";
import type { MatrixError } from "../../../src/error.ts";
import {
  type ErrorResponse,
  outcomeOfEvent,
  outcomeOfResponse,
} from "../../../src/model/endpoint/error-answer.ts";

function respond(
  status: number,
  body: unknown = {},
  headers: ErrorResponse["headers"] = {},
): { code?: string; message?: unknown; finishReason?: string; retryAfterMs?: number } {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  try {
    return outcomeOfResponse({ status, headers, body: text }, "http://a") as never;
  } catch (thrown) {
    return thrown as MatrixError as never;
  }
}

const codes: readonly (readonly [status: number, code: string])[] = [
  [400, "model_refused_request"],
  [401, "model_denied"],
  [402, "model_denied"],
  [403, "model_denied"],
  [404, "model_denied"],
  [405, "model_refused_request"],
  [408, "model_timeout"],
  [409, "model_failed"],
  [413, "model_refused_request"],
  [425, "model_failed"],
  [429, "model_overloaded"],
  [499, "model_refused_request"],
  [500, "model_failed"],
  [502, "model_failed"],
  [503, "model_overloaded"],
  [504, "model_timeout"],
  [529, "model_overloaded"],
  [302, "model_refused_request"],
];
for (const [status, code] of codes) {
  test(`status ${status} is ${code}, with the endpoint and its words`, () => {
    const error = respond(status, { error: { message: "because" } });
    expect([error.code, error.message]).toEqual([code, `http://a answered ${status}: because`]);
  });
}

test("a key, an account or a model that is turned away is told by the code, with any status", () => {
  const codeOf = (status: number, code: string) => respond(status, { error: { code } }).code;
  for (const code of [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "account_deactivated",
    "invalid_api_key",
    "model_not_found",
  ])
    expect([codeOf(429, code), codeOf(400, code)]).toEqual(["model_denied", "model_denied"]);
  expect(codeOf(429, "rate_limit_exceeded")).toBe("model_overloaded");
});

test("two providers refuse a key or an empty account with 400 and words alone", () => {
  const codeOf = (status: number, message: string) => respond(status, { error: { message } }).code;
  const words = ["API key not valid. Please pass one.", "Your credit balance is too low to go on."];
  for (const message of words) {
    expect(codeOf(400, message)).toBe("model_denied");
    expect(codeOf(500, message)).toBe("model_failed");
  }
});

test("the words of an error are found where each server has them", () => {
  const saidOf = (body: unknown) => respond(500, body).message;
  for (const [body, words] of [
    [{ error: { message: "a" } }, "a"],
    [{ object: "error", message: "b" }, "b"],
    [{ error: "c" }, "c"],
    [{ detail: "d" }, "d"],
    [{ detail: [{ loc: ["body"] }] }, '[{"loc":["body"]}]'],
    [{ other: 1 }, '{"other":1}'],
    ["<html>e</html>", "<html>e</html>"],
    ["", "nothing more"],
    ["5", "5"],
  ] as const)
    expect(saidOf(body)).toBe(`http://a answered 500: ${words}`);
});

test("the words of an error are cut after 2000 characters", () => {
  const words = respond(500, "x".repeat(2001)).message as string;
  expect(words).toBe(`http://a answered 500: ${"x".repeat(2000)}`);
});

test("a request that is too long or filtered is an outcome with the server's words", () => {
  const usage = { requests: 1, prompt_tokens: 0, completion_tokens: 0 };
  const outcome = (code: string) => respond(400, { error: { message: "why", code } });
  for (const [code, finishReason] of [
    ["context_length_exceeded", "context_length"],
    ["content_filter", "content_filter"],
    ["content_policy_violation", "content_filter"],
  ] as const)
    expect(outcome(code) as unknown).toEqual({
      message: { role: "assistant", content: null, error: "why" },
      finishReason,
      usage,
    });
  const typed = { message: "why", type: "exceed_context_size_error", code: 400 };
  expect(respond(400, { error: typed }).finishReason).toBe("context_length");
});

test("a status up to 500 can be an outcome, and one above cannot", () => {
  const body = { error: { message: "why", code: "context_length_exceeded" } };
  expect(respond(500, body).finishReason).toBe("context_length");
  expect(respond(501, body).code).toBe("model_failed");
});

const waits: readonly (readonly [headers: ErrorResponse["headers"], ms: number | undefined])[] = [
  [{}, undefined],
  [{ "retry-after": "3" }, 3000],
  [{ "retry-after": "0.5" }, 500],
  [{ "retry-after": "0" }, 0],
  [{ "retry-after": "soon" }, undefined],
  [{ "retry-after": "-5" }, 0],
  [{ "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }, 0],
  [{ "retry-after-ms": "250" }, 250],
  [{ "retry-after-ms": "-250" }, 0],
  [{ "retry-after-ms": "x", "retry-after": "2" }, 2000],
  [{ "retry-after-ms": "250", "retry-after": "2" }, 250],
];
for (const [headers, ms] of waits) {
  test(`${JSON.stringify(headers)} asks to wait for ${ms === undefined ? "no stated time" : `${ms} ms`}`, () => {
    expect(respond(429, {}, headers).retryAfterMs).toBe(ms as number);
  });
}

test("a Retry-After that is a date asks to wait until then", () => {
  const date = new Date(Date.now() + 60_000).toUTCString();
  const ms = respond(429, {}, { "retry-after": date }).retryAfterMs ?? 0;
  expect(ms).toBeGreaterThan(50_000);
  expect(ms).toBeLessThanOrEqual(60_000);
});

test("an error in the middle of a stream is a failure, unless the request was too long", () => {
  const event = (error: object) => () => outcomeOfEvent({ error }, "http://a");
  expect(event({ message: "out of memory" })).toThrow(
    expect.objectContaining({
      code: "model_failed",
      message: "http://a broke off its answer: out of memory",
    }),
  );
  expect(event({ message: "why", code: "content_filter" })).toThrow(
    expect.objectContaining({ code: "model_failed" }),
  );
  expect(event({ message: "why", code: "context_length_exceeded" })()).toMatchObject({
    finishReason: "context_length",
    message: { content: null, error: "why" },
  });
});
