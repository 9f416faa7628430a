// One try against one address of an OpenAI-compatible endpoint, and the one place where what the endpoint says becomes ours: an
// answer, an outcome (src/model/endpoint/stops.ts) or a typed error. Not by the stock client: half of what a request costs was its.

import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { type ErrorCode, MatrixError, messageOf } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/model-schema.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { version } from "../../version.ts";
import type { ChatAnswer, ChatRequest } from "../contract.ts";
import { SIMULATED_FINGERPRINT } from "../simulated.ts";
import type { Address } from "./addresses.ts";
import { createConnection, readEvents, readText, type Send, Unreachable } from "./connection.ts";
import { unansweredError, unansweredOf } from "./stops.ts";
import { Assembly } from "./stream.ts";

/** What the server's words are cut to, in errors and records. */
const SAID_MAX = 2000;
const PROBE_TIMEOUT_MS = 5000;
/** Of one request, more are not believed. */
const TOKENS_MAX = 1e9;
/** Finish reasons of answers that the server gave up: vLLM, SGLang, OpenRouter. */
const GIVEN_UP = ["abort", "error"];

export class Endpoint {
  readonly #config: OpenaiModelConfig;
  readonly #label: string;
  readonly #send: Send;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #completions: URL;
  readonly #models: URL;

  constructor(config: OpenaiModelConfig, { url, ip, label }: Address) {
    const { api_key: key = "", headers, connect_timeout: connectTimeoutMs } = config;
    this.#config = config;
    this.#label = label;
    this.#send = createConnection({ ip, connectTimeoutMs });
    this.#headers = {
      "content-type": "application/json",
      "user-agent": `matrix/${version}`,
      ...(key === "" ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    };
    this.#completions = below(url, "chat/completions");
    this.#models = below(url, "models");
  }

  /** Fails with a MatrixError, or with the signal's reason. */
  async ask(request: ChatRequest, signal: AbortSignal): Promise<ChatAnswer> {
    const { timeout, first_token_timeout: silence } = this.#config;
    using limits = new TimeLimits(signal, timeout, silence ?? null);
    try {
      const body = bodyOf(this.#config.model, request);
      return answerOf(
        silence === undefined
          ? await this.#whole(body, limits)
          : await this.#streamed(body, limits),
      );
    } catch (thrown) {
      signal.throwIfAborted();
      if (limits.passed !== null)
        throw new MatrixError("model_timeout", `${this.#label} gave ${limits.passed}`, {
          cause: thrown,
        });
      return this.#translate(thrown);
    }
  }

  /** Whether anything answers there. That it has models to list is not asked. */
  async isThere(): Promise<boolean> {
    try {
      const response = await this.#send(this.#models, {
        method: "GET",
        headers: this.#headers,
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      });
      response.resume();
      return (response.statusCode ?? 500) < 500;
    } catch {
      return false;
    }
  }

  async #whole(body: JsonObject, { signal }: TimeLimits): Promise<unknown> {
    return JSON.parse(await readText(await this.#post(body, signal)));
  }

  async #streamed(body: JsonObject, limits: TimeLimits): Promise<unknown> {
    const response = await this.#post(
      { ...body, stream: true, stream_options: { include_usage: true } },
      limits.signal,
    );
    // Not every endpoint streams.
    if (/\bjson\b/.test(response.headers["content-type"] ?? ""))
      return JSON.parse(await readText(response));
    const assembly = new Assembly();
    for await (const event of readEvents(response)) {
      limits.heard();
      const chunk: unknown = JSON.parse(event);
      if (!isJsonObject(chunk)) throw badAnswer("an event of it is no object");
      if (isJsonObject(chunk["error"])) throw new StreamFailure(chunk);
      assembly.add(chunk);
    }
    if (assembly.completion === null) throw new Error("the stream ended before the answer did");
    return assembly.completion;
  }

  async #post(body: JsonObject, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#send(this.#completions, {
      method: "POST",
      headers: this.#headers,
      body: JSON.stringify(body),
      signal,
    });
    const { statusCode: status = 500, headers } = response;
    if (status >= 200 && status < 300) return response;
    throw new HttpFailure(status, headers, await readText(response));
  }

  /** An outcome is answered, everything else thrown. */
  #translate(thrown: unknown): ChatAnswer {
    const fail = (code: ErrorCode, message: string, retryAfterMs?: number): MatrixError =>
      new MatrixError(code, message, {
        cause: thrown,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
    if (thrown instanceof MatrixError) throw thrown;
    if (thrown instanceof Unreachable)
      throw fail("model_unavailable", `no connection to ${this.#label}: ${thrown.message}`);
    if (thrown instanceof HttpFailure) {
      const { status, headers, codes, said } = thrown;
      const unanswered = status <= 500 ? unansweredError(codes, said) : null;
      if (unanswered !== null)
        return emptyAnswer(unanswered === "context_length" ? unanswered : "content_filter", said);
      throw fail(codeOf(thrown), `${this.#label} answered ${status}: ${said}`, retryAfter(headers));
    }
    if (thrown instanceof StreamFailure) {
      if (unansweredError(thrown.codes, thrown.said) === "context_length")
        return emptyAnswer("context_length", thrown.said);
      throw fail("model_failed", `${this.#label} broke off its answer: ${thrown.said}`);
    }
    if (thrown instanceof SyntaxError)
      throw fail("model_bad_answer", `the answer of ${this.#label} is no JSON: ${thrown.message}`);
    throw fail("model_lost", `${this.#label} went while it answered: ${messageOf(thrown)}`);
  }
}

/** A path below an endpoint's, whose query stays. */
function below(base: string, path: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  return url;
}

function bodyOf(
  model: string,
  { messages, seed, sampling, tools, schema }: ChatRequest,
): JsonObject {
  return {
    ...sampling,
    model,
    messages: messages as unknown as Json,
    seed,
    ...(tools === undefined ? {} : { tools }),
    ...(schema === undefined
      ? {}
      : {
          response_format: {
            type: "json_schema",
            json_schema: { name: "answer", schema, strict: true },
          },
        }),
  };
}

/** What was asked for stands in the message: log probabilities and token ids of the choice, those of the prompt. */
function answerOf(completion: unknown): ChatAnswer {
  // Endpoints answer 200 with anything.
  const whole = isJsonObject(completion) ? completion : {};
  const choice = Array.isArray(whole["choices"]) ? whole["choices"][0] : undefined;
  if (!isJsonObject(choice) || !isJsonObject(choice["message"]))
    throw badAnswer("it has no choices");
  const finishReason =
    typeof choice["finish_reason"] === "string" ? choice["finish_reason"] : "stop";
  if (GIVEN_UP.includes(finishReason))
    throw new MatrixError(
      "model_failed",
      `the endpoint gave the answer up: finish_reason ${finishReason}`,
    );
  const { logprobs, token_ids } = choice;
  const { prompt_token_ids, prompt_logprobs } = whole;
  const kept = withoutNulls({
    ...choice["message"],
    logprobs,
    token_ids,
    prompt_token_ids,
    prompt_logprobs,
  });
  const calls = callsFrom(kept["tool_calls"]);
  delete kept["tool_calls"];
  if (calls.length > 0) kept["tool_calls"] = calls;
  const said = textFrom(kept["content"]);
  const message = { ...kept, role: "assistant" as const, content: said };
  if (said === null && calls.length === 0 && unansweredOf({ message, finishReason }) === null)
    throw badAnswer("the message is empty");
  const label =
    whole["system_fingerprint"] === SIMULATED_FINGERPRINT ? { simulated: true as const } : {};
  return { message, finishReason, ...label, usage: usageOf(whole["usage"]) };
}

/** Text, or parts of which some are text; null for none. */
function textFrom(content: Json | undefined): string | null {
  const parts = Array.isArray(content)
    ? content.map((part) => (isJsonObject(part) ? part["text"] : null))
    : [content];
  const text = parts.filter((part) => typeof part === "string").join("");
  return text === "" ? null : text;
}

/** Arguments are the text that the model wrote. A call without an id gets one. */
function callsFrom(calls: Json | undefined): JsonObject[] {
  return (Array.isArray(calls) ? (calls as readonly Json[]) : []).map((call, index) => {
    const called = isJsonObject(call) ? call["function"] : undefined;
    if (
      !isJsonObject(call) ||
      !isJsonObject(called) ||
      typeof called["name"] !== "string" ||
      typeof called["arguments"] !== "string"
    )
      throw badAnswer(`its tool call ${index} has no name, or arguments that are no text`);
    return {
      ...call,
      id: typeof call["id"] === "string" && call["id"] !== "" ? call["id"] : `call_${index}`,
      type: "function",
    };
  });
}

function usageOf(usage: Json | undefined): ChatAnswer["usage"] {
  const { prompt_tokens: prompt, completion_tokens: completion } = isJsonObject(usage)
    ? usage
    : ({} as JsonObject);
  return {
    requests: 1,
    prompt_tokens: tokensFrom(prompt),
    completion_tokens: tokensFrom(completion),
  };
}

/** What is no count of tokens counts nothing. */
function tokensFrom(value: Json | undefined): number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= TOKENS_MAX
    ? value
    : 0;
}

/** Where the endpoint gave none, and says why. */
function emptyAnswer(finishReason: string, error: string): ChatAnswer {
  const usage = { requests: 1, prompt_tokens: 0, completion_tokens: 0 };
  return { message: { role: "assistant", content: null, error }, finishReason, usage };
}

function withoutNulls(table: Readonly<Record<string, Json | undefined>>): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(table).filter((entry): entry is [string, Json] => entry[1] != null),
  );
}

function badAnswer(what: string): MatrixError {
  return new MatrixError("model_bad_answer", `the answer is no chat completion: ${what}`);
}

/** What an endpoint says instead of an answer. */
class Failure extends Error {
  readonly codes: readonly string[];
  readonly said: string;

  constructor(body: unknown) {
    const { codes, said } = readError(body);
    super(said);
    this.codes = codes;
    this.said = said;
  }
}

/** In the middle of a stream, where it has no status. */
class StreamFailure extends Failure {}

class HttpFailure extends Failure {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;

  constructor(status: number, headers: IncomingHttpHeaders, body: string) {
    super(body);
    this.status = status;
    this.headers = headers;
  }
}

/** OpenAI's stand under `error`; vLLM's and SGLang's by themselves. */
function readError(body: unknown): { readonly codes: readonly string[]; readonly said: string } {
  let value = body;
  try {
    if (typeof body === "string") value = JSON.parse(body);
  } catch {
    // Words, or a page of a proxy.
  }
  const outer = isJsonObject(value) ? value : {};
  const inner = isJsonObject(outer["error"]) ? outer["error"] : outer;
  const message = inner["message"] ?? inner["error"] ?? inner["detail"] ?? value;
  const said = (typeof message === "string" ? message : JSON.stringify(message)).slice(0, SAID_MAX);
  return {
    codes: [inner["code"], inner["type"]].filter((code) => typeof code === "string"),
    said: said === "" ? "nothing more" : said,
  };
}

function codeOf({ status, codes }: HttpFailure): ErrorCode {
  // A quota that is used up does not come back by waiting.
  if (codes.includes("insufficient_quota")) return "model_refused_request";
  if (status === 429 || status === 503 || status === 529) return "model_overloaded";
  if (status === 408 || status === 504) return "model_timeout";
  return status >= 500 || status === 409 || status === 425
    ? "model_failed"
    : "model_refused_request";
}

/** RFC 9110, section 10.2.3: seconds or a date; `retry-after-ms` as OpenAI has it. */
function retryAfter(headers: IncomingHttpHeaders): number | undefined {
  const ms = Number(headers["retry-after-ms"] ?? Number.NaN);
  if (Number.isFinite(ms)) return Math.max(0, ms);
  const value = headers["retry-after"];
  if (value === undefined) return undefined;
  const waitMs = /^\d+(\.\d+)?$/.test(value)
    ? Number(value) * 1000
    : Date.parse(value) - Date.now();
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
}

/** Ends a try that takes too long, in whole or between two signs of life. */
class TimeLimits implements Disposable {
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[];
  readonly #outer: AbortSignal;
  readonly #abort = (): void => this.#controller.abort(this.#outer.reason);
  /** What was waited for in vain. */
  passed: string | null = null;

  constructor(outer: AbortSignal, wholeMs: number, silenceMs: number | null) {
    this.#outer = outer;
    if (outer.aborted) this.#abort();
    outer.addEventListener("abort", this.#abort, { once: true });
    this.#timers = [this.#limit(wholeMs, `no whole answer within ${wholeMs} ms`)];
    if (silenceMs !== null)
      this.#timers.push(this.#limit(silenceMs, `no token for ${silenceMs} ms`));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    this.#timers[1]?.refresh();
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#outer.removeEventListener("abort", this.#abort);
  }

  #limit(ms: number, passed: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.passed = passed;
      this.#controller.abort(new Error(passed));
    }, ms);
  }
}
