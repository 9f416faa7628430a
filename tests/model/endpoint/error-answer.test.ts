// Error answers of an endpoint: each status and code has its own error, and some are
// outcomes of the task.

import { expect, test } from "bun:test";
import type { MatrixError } from "../../../src/error.ts";
import {
  type ErrorResponse,
  errorIn,
  outcomeOfError,
  outcomeOfResponse,
} from "../../../src/model/endpoint/error-answer.ts";
import type { JsonObject } from "../../../src/task/json.ts";

const speaker = { label: "http://a", mask: (text: string) => text.replaceAll("sk-1", "…") };

function respond(
  status: number,
  body: unknown = {},
  headers: ErrorResponse["headers"] = {},
): { code?: string; message?: unknown; finishReason?: string; retryAfterMs?: number } {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  try {
    return outcomeOfResponse({ status, headers, body: text }, speaker) as never;
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
  [424, "model_failed"],
  [425, "model_failed"],
  [426, "model_refused_request"],
  [429, "model_overloaded"],
  [497, "model_refused_request"],
  [498, "model_overloaded"],
  [499, "model_failed"],
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
    "invalid_model",
    "budget_exceeded",
    "Arrearage",
    "exceeded_current_quota_error",
    "1113",
  ])
    expect([codeOf(429, code), codeOf(400, code)]).toEqual(["model_denied", "model_denied"]);
  expect(codeOf(429, "rate_limit_exceeded")).toBe("model_overloaded");
});

test("some providers refuse a key or an empty account in words alone", () => {
  const codeOf = (status: number, message: string) => respond(status, { error: { message } }).code;
  const words = [
    "API key not valid. Please pass one.",
    "Incorrect API key provided: xai-1.",
    "Invalid API key.",
    "Your credit balance is too low to go on.",
    "Budget has been exceeded! Current cost: 10.2, Max budget: 10.0",
    "Account a is suspended: it reached its spending limit.",
    "Your account is in arrears.",
  ];
  for (const message of words) {
    expect([codeOf(400, message), codeOf(412, message)]).toEqual(["model_denied", "model_denied"]);
    expect([codeOf(429, message), codeOf(500, message)]).toEqual([
      "model_overloaded",
      "model_failed",
    ]);
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
    [{ error: { message: "key sk-1 is wrong" } }, "key … is wrong"],
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

test("an error of a rate limit waits until the limit that is used up resets", () => {
  const epochS = Math.floor(Date.now() / 1000) + 100;
  for (const [headers, ms] of [
    [{ "x-ratelimit-reset-tokens": "6m0s" }, 360_000],
    [{ "x-ratelimit-reset-requests": "20ms" }, 20],
    [{ "x-ratelimit-reset-requests": "1h2m3.5s" }, 3_723_500],
    [{ "x-ratelimit-reset": "59.7" }, 59_700],
    [{ "ratelimit-reset": "30" }, 30_000],
    [{ "x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "9s" }, 1000],
    [
      {
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-requests": "5",
        "x-ratelimit-reset-tokens": "9s",
        "x-ratelimit-remaining-tokens": "0",
      },
      9000,
    ],
    [
      {
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-tokens": "9s",
        "x-ratelimit-remaining-tokens": "0",
      },
      9000,
    ],
    [{ "x-ratelimit-reset": "5s", "retry-after": "2" }, 2000],
    [{ "x-ratelimit-reset": "soon" }, undefined],
    [{ "x-ratelimit-remaining-tokens": "0" }, undefined],
  ] as const)
    expect(respond(429, {}, headers).retryAfterMs).toBe(ms as number);
  for (const reset of [
    String(epochS),
    String(epochS * 1000),
    new Date(epochS * 1000).toISOString(),
  ]) {
    const ms = respond(429, {}, { "anthropic-ratelimit-requests-reset": reset }).retryAfterMs ?? 0;
    expect(ms).toBeGreaterThan(90_000);
    expect(ms).toBeLessThanOrEqual(100_000);
  }
});

test("the limits that other errors state are not waited for, and their Retry-After is", () => {
  expect(respond(500, {}, { "x-ratelimit-reset-tokens": "6m0s" }).retryAfterMs).toBeUndefined();
  expect(respond(500, {}, { "retry-after": "3" }).retryAfterMs).toBe(3000);
});

test("a rate limit on tokens is no prompt that is too long", () => {
  const body = { error: { message: "too many tokens: try later" } };
  expect(respond(429, body).code).toBe("model_overloaded");
  expect(respond(400, body).finishReason).toBe("context_length");
});

test("errors are found in bodies and events, and answers have none", () => {
  const choice = { index: 0, error: { message: "no" } };
  for (const [body, error] of [
    [{ error: { message: "no" } }, { error: { message: "no" } }],
    [
      { error: "no", choices: [] },
      { error: "no", choices: [] },
    ],
    [
      { object: "error", message: "no" },
      { object: "error", message: "no" },
    ],
    [
      { type: "error", error: { type: "x" } },
      { type: "error", error: { type: "x" } },
    ],
    [{ detail: "no" }, { detail: "no" }],
    [{ message: "no" }, { message: "no" }],
    [{ choices: [choice] }, choice],
    [{ choices: [{ message: { content: "yes" } }], error: null }, null],
    [{ choices: [{ message: { content: "yes" }, error: null }], error: {} }, null],
    [{ choices: [], usage: {} }, null],
    [{ choices: [], message: "x" }, null],
    [{ message: { content: "x" } }, null],
    [{}, null],
    ["error", null],
  ] as const)
    expect(errorIn(body)).toEqual(error as never);
});

const inAnswers: readonly (readonly [error: object, code: string])[] = [
  [{ message: "CUDA out of memory", code: 500 }, "model_failed"],
  [{ message: "no", code: 429 }, "model_overloaded"],
  [{ message: "no", code: "503" }, "model_overloaded"],
  [{ message: "no", code: 400 }, "model_refused_request"],
  [{ message: "no", code: 504 }, "model_timeout"],
  [{ message: "no", code: 502 }, "model_failed"],
  [{ message: "no", code: 1113 }, "model_failed"],
  [{ message: "no", code: 429.5, type: 503 }, "model_overloaded"],
  [{ message: "no", code: -429, type: 503 }, "model_overloaded"],
  [{ message: "no", code: 399 }, "model_failed"],
  [{ message: "no", code: 600, type: "bad_request" }, "model_refused_request"],
  [{ message: "no", type: "rate_limit_error" }, "model_overloaded"],
  [{ message: "no", type: "overloaded_error" }, "model_overloaded"],
  [{ message: "no", status: "RESOURCE_EXHAUSTED" }, "model_overloaded"],
  [{ message: "Rate limit reached, try again" }, "model_overloaded"],
  [{ message: "no", type: "timeout_error" }, "model_timeout"],
  [{ message: "Request timed out" }, "model_timeout"],
  [{ message: "no", type: "invalid_request_error" }, "model_refused_request"],
  [{ message: "no", type: "authentication_error" }, "model_denied"],
  [{ message: "no", code: "insufficient_quota", type: "requests" }, "model_denied"],
  [{ message: "no", code: "model_not_found" }, "model_denied"],
  [{ message: "not found, permission and validation are only words" }, "model_failed"],
  [{ message: "no", type: "server_error" }, "model_failed"],
];
for (const [error, code] of inAnswers) {
  test(`the error ${JSON.stringify(error)} in an answer is ${code}`, () => {
    expect(() => outcomeOfError({ error } as JsonObject, "broke off its answer", speaker)).toThrow(
      expect.objectContaining({
        code,
        message: `http://a broke off its answer: ${(error as { message: string }).message}`,
      }),
    );
  });
}

test("an error of TGI has its type beside it, and one of a choice has its own code", () => {
  expect(() =>
    outcomeOfError({ error: "Model is overloaded", error_type: "overloaded" }, "said", speaker),
  ).toThrow(expect.objectContaining({ code: "model_overloaded" }));
  expect(() => outcomeOfError({ error: { message: "x", code: 502 } }, "said", speaker)).toThrow(
    expect.objectContaining({ code: "model_failed", message: "http://a said: x" }),
  );
});

test("an error in an answer that says the request is too long or filtered is an outcome", () => {
  const outcome = (code: string) =>
    outcomeOfError({ error: { message: "why sk-1", code } }, "said", speaker);
  expect(outcome("context_length_exceeded")).toMatchObject({
    finishReason: "context_length",
    message: { content: null, error: "why …" },
  });
  expect(outcome("content_filter").finishReason).toBe("content_filter");
  const saying = (message: string) => outcomeOfError({ error: message }, "said", speaker);
  expect(saying("Context size has been exceeded.").finishReason).toBe("context_length");
});

test.each([300, 40_000, 1_000_000])("an error of %d levels is read as plain words", (levels) => {
  const body = `{"error":{"message":${"[".repeat(levels)}${"]".repeat(levels)}}}`;
  const { code, message } = respond(400, body);
  expect(code).toBe("model_refused_request");
  expect(message).toBe(`http://a answered 400: ${body.slice(0, 2000)}`);
});
