// Errors that an endpoint sends, as a status or in the middle of a stream. Some of them are
// outcomes of the task (src/model/endpoint/stops.ts) and become answers; the others become
// MatrixErrors.

import { type ErrorCode, MatrixError } from "../../error.ts";
import { isJsonObject } from "../../task/json.ts";
import type { ChatAnswer } from "../contract.ts";
import { unansweredError } from "./stops.ts";

/** The server's words are cut to this many characters in errors and records. */
const SAID_CHARS_MAX = 2000;

export interface ErrorResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/**
 * Returns the outcome that a response with an error status stands for, or throws. `label` names the
 * endpoint.
 */
export function outcomeOfResponse(
  { status, headers, body }: ErrorResponse,
  label: string,
): ChatAnswer {
  const { codes, said } = readError(body);
  const unanswered = status <= 500 ? unansweredError(codes, said) : null;
  if (unanswered !== null)
    return emptyAnswer(unanswered === "context_length" ? unanswered : "content_filter", said);
  const retryAfterMs = retryAfterOf(headers);
  throw new MatrixError(codeOf(status, codes, said), `${label} answered ${status}: ${said}`, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Returns the outcome that an error event in the middle of a stream stands for, or throws. */
export function outcomeOfEvent(event: unknown, label: string): ChatAnswer {
  const { codes, said } = readError(event);
  if (unansweredError(codes, said) === "context_length") return emptyAnswer("context_length", said);
  throw new MatrixError("model_failed", `${label} broke off its answer: ${said}`);
}

/** An answer without content, with the endpoint's reason for it. */
function emptyAnswer(finishReason: string, error: string): ChatAnswer {
  const usage = { requests: 1, prompt_tokens: 0, completion_tokens: 0 };
  return { message: { role: "assistant", content: null, error }, finishReason, usage };
}

/** OpenAI has code, type and message under `error`; vLLM and SGLang have them at the top. */
function readError(body: unknown): { readonly codes: readonly string[]; readonly said: string } {
  let value = body;
  try {
    if (typeof body === "string") value = JSON.parse(body);
  } catch {
    // Plain words, or the page of a proxy.
  }
  const outer = isJsonObject(value) ? value : {};
  const inner = isJsonObject(outer["error"]) ? outer["error"] : outer;
  const message = inner["message"] ?? inner["error"] ?? inner["detail"] ?? value;
  const text = typeof message === "string" ? message : JSON.stringify(message);
  const said = text.slice(0, SAID_CHARS_MAX);
  return {
    codes: [inner["code"], inner["type"]].filter((code) => typeof code === "string"),
    said: said === "" ? "nothing more" : said,
  };
}

/** Codes of an endpoint that turns away a key, an account or a model, whatever the request is. */
const DENIED_CODES: ReadonlySet<string> = new Set([
  "insufficient_quota",
  "billing_hard_limit_reached",
  "billing_not_active",
  "account_deactivated",
  "invalid_api_key",
  "model_not_found",
]);
/** The same in words, where the status is 400. */
const DENIED_WORDS = /api key not valid|credit balance is too low/i; // Gemini; Anthropic
const DENIED_STATUSES: ReadonlySet<number> = new Set([401, 402, 403, 404]);

function codeOf(status: number, codes: readonly string[], said: string): ErrorCode {
  // A quota that is used up does not come back by waiting.
  if (codes.some((code) => DENIED_CODES.has(code))) return "model_denied";
  if (DENIED_STATUSES.has(status) || (status === 400 && DENIED_WORDS.test(said)))
    return "model_denied";
  if (status === 429 || status === 503 || status === 529) return "model_overloaded";
  if (status === 408 || status === 504) return "model_timeout";
  return status >= 500 || status === 409 || status === 425
    ? "model_failed"
    : "model_refused_request";
}

/**
 * The wait in milliseconds. RFC 9110, section 10.2.3 allows seconds or a date; OpenAI also sends
 * `retry-after-ms`.
 */
function retryAfterOf(headers: ErrorResponse["headers"]): number | undefined {
  const ms = Number(headers["retry-after-ms"] ?? Number.NaN);
  if (Number.isFinite(ms)) return Math.max(0, ms);
  const value = headers["retry-after"];
  if (typeof value !== "string") return undefined;
  const waitMs = /^\d+(\.\d+)?$/.test(value)
    ? Number(value) * 1000
    : Date.parse(value) - Date.now();
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
}
