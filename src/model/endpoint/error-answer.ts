// Errors that an endpoint sends: as a status, in the body of an answer with status 200, or in the
// middle of a stream. Some of them are outcomes of the task (src/model/endpoint/stops.ts) and
// become answers; the others become MatrixErrors.

import { type ErrorCode, MatrixError } from "../../error.ts";
import { isTooDeep } from "../../task/depth.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import type { ChatAnswer } from "../contract.ts";
import { unansweredError } from "./stops.ts";
import { waitOf } from "./waits.ts";

/** The server's words are cut to this many characters in errors and records. */
const SAID_CHARS_MAX = 2000;

export interface ErrorResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** The endpoint as errors name it, and what hides its secrets in the words of the server. */
export interface Speaker {
  readonly label: string;
  readonly mask: (text: string) => string;
}

/** Returns the outcome that a response with an error status stands for, or throws. */
export function outcomeOfResponse(
  { status, headers, body }: ErrorResponse,
  { label, mask }: Speaker,
): ChatAnswer {
  const error = readError(body, mask);
  const code = codeOfStatus(status, error);
  return outcomeOf(error, status, code, `${label} answered ${status}`, waitOf(headers, code));
}

/**
 * Returns the outcome that an error stands for which came in place of an answer or of a part of it,
 * or throws. `how` says how it came, such as "broke off its answer".
 */
export function outcomeOfError(error: Json, how: string, { label, mask }: Speaker): ChatAnswer {
  const read = readError(error, mask);
  const status = statusIn(read);
  const code = status === null ? codeOfWords(read) : codeOfStatus(status, read);
  return outcomeOf(read, status ?? 400, code, `${label} ${how}`, undefined);
}

/**
 * The error in a body or an event; null when there is none. OpenAI has it under `error`, vLLM and
 * SGLang at the top, OpenRouter also in a choice.
 */
export function errorIn(body: unknown): Json | null {
  if (!isJsonObject(body)) return null;
  const { error, object, choices, message, detail } = body;
  if (isError(error)) return body;
  if (object === "error") return body;
  const [choice] = Array.isArray(choices) ? (choices as readonly Json[]) : [];
  if (isJsonObject(choice)) return isError(choice["error"]) ? choice : null;
  // FastAPI, and gateways that know no shape of their own.
  if (choices === undefined && (typeof message === "string" || detail !== undefined)) return body;
  return null;
}

function isError(error: Json | undefined): boolean {
  return isJsonObject(error) ? Object.keys(error).length > 0 : Boolean(error);
}

function outcomeOf(
  { codes, said }: ReadError,
  status: number,
  code: ErrorCode,
  what: string,
  retryAfterMs: number | undefined,
): ChatAnswer {
  const mayBeOutcome = status <= 500 && status !== 429;
  const unanswered = mayBeOutcome ? unansweredError(codes, said) : null;
  if (unanswered !== null)
    return emptyAnswer(unanswered === "context_length" ? unanswered : "content_filter", said);
  throw new MatrixError(code, `${what}: ${said}`, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** An answer without content, with the endpoint's reason for it. */
function emptyAnswer(finishReason: string, error: string): ChatAnswer {
  const usage = { requests: 1, prompt_tokens: 0, completion_tokens: 0 };
  return { message: { role: "assistant", content: null, error }, finishReason, usage };
}

interface ReadError {
  readonly codes: readonly string[];
  /** A number among the codes. */
  readonly number: number | null;
  readonly said: string;
}

function readError(body: unknown, mask: Speaker["mask"]): ReadError {
  let value = body;
  try {
    const parsed: unknown = typeof body === "string" ? JSON.parse(body) : body;
    if (!isTooDeep(parsed)) value = parsed;
  } catch {
    // Plain words, or the page of a proxy.
  }
  const outer: JsonObject = isJsonObject(value) ? value : {};
  const inner = isJsonObject(outer["error"]) ? outer["error"] : outer;
  const message = inner["message"] ?? inner["error"] ?? inner["detail"] ?? value;
  const text = typeof message === "string" ? message : JSON.stringify(message);
  const said = mask(text).slice(0, SAID_CHARS_MAX);
  // TGI has `error_type`, Gemini `status`.
  const codes = [inner["code"], inner["type"], outer["error_type"], inner["status"]];
  const number = codes.map(Number).find((code) => Number.isInteger(code) && code > 0);
  return {
    codes: codes.filter((code) => typeof code === "string"),
    number: number ?? null,
    said: said === "" ? "nothing more" : said,
  };
}

/** The status that an error names which came with status 200. */
function statusIn({ number }: ReadError): number | null {
  return number !== null && number >= 400 && number < 600 ? number : null;
}

/** Codes of an endpoint that turns away a key, an account or a model, whatever the request is. */
const DENIED_CODES: ReadonlySet<string> = new Set([
  "insufficient_quota",
  "billing_hard_limit_reached",
  "billing_not_active",
  "account_deactivated",
  "invalid_api_key",
  "model_not_found",
  "invalid_model", // Mistral
  "budget_exceeded", // litellm
  "Arrearage", // Qwen
  "exceeded_current_quota_error", // Moonshot
  "1113", // Zhipu: the account is in arrears
]);
/** The same in words, where the status is below 500 and is not 429, which may pass by itself. */
const DENIED_WORDS = new RegExp(
  [
    "api key not valid", // Gemini
    "(?:incorrect|invalid) api key", // xAI
    "credit balance is too low", // Anthropic
    "budget has been exceeded", // litellm
    "spending limit", // Fireworks
    "in arrears",
  ].join("|"),
  "i",
);
const DENIED_STATUSES: ReadonlySet<number> = new Set([401, 402, 403, 404]);

const OVERLOADED: ReadonlySet<number> = new Set([
  429,
  498, // Groq: no capacity for requests of the tier "flex"
  503,
  529, // Anthropic
]);
const TIMED_OUT: ReadonlySet<number> = new Set([408, 504]);
/** Statuses below 500 that say nothing about the request itself. */
const FAILED: ReadonlySet<number> = new Set([
  409,
  424, // TGI: the generation failed; Bedrock: the model did
  425,
  499, // nginx and Gemini: the request was cancelled on its way
]);

function codeOfStatus(status: number, { codes, said }: ReadError): ErrorCode {
  // A quota that is used up does not come back by waiting.
  if (codes.some((code) => DENIED_CODES.has(code))) return "model_denied";
  if (DENIED_STATUSES.has(status) || (status < 500 && status !== 429 && DENIED_WORDS.test(said)))
    return "model_denied";
  if (OVERLOADED.has(status)) return "model_overloaded";
  if (TIMED_OUT.has(status)) return "model_timeout";
  return status >= 500 || FAILED.has(status) ? "model_failed" : "model_refused_request";
}

/** Words by which errors without a status are told apart, in their types and messages. */
const KINDS: readonly (readonly [words: RegExp, code: ErrorCode])[] = [
  [/insufficient.?quota|billing|credit.?balance|api key not valid/i, "model_denied"],
  [
    /rate.?limit|too.?many.?requests|overload|throttl|resource.?exhausted|no.?capacity|unavailable/i,
    "model_overloaded",
  ],
  [/time.?d?.?out|deadline.?exceeded/i, "model_timeout"],
];
/** Types of errors. Messages use these words for anything. */
const TYPES: readonly (readonly [words: RegExp, code: ErrorCode])[] = [
  [/auth|permission|forbidden|not.?found|invalid.?api.?key|deactivated/i, "model_denied"],
  [/invalid.?request|bad.?request|validation|unprocessable/i, "model_refused_request"],
];

function codeOfWords({ codes, said }: ReadError): ErrorCode {
  const types = codes.join(" ");
  const known =
    KINDS.find(([words]) => words.test(`${types} ${said}`)) ??
    TYPES.find(([words]) => words.test(types));
  return known?.[1] ?? "model_failed";
}
