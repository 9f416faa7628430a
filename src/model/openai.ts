// One try against an OpenAI-compatible endpoint by the stock client, and the one place where its errors become ours.

import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError } from "openai";
import { type ErrorCode, MatrixError, messageOf } from "../error.ts";
import type { OpenaiModelConfig } from "../recipe/schema.ts";
import type { Json } from "../task/json.ts";
import type { ChatAnswer, ChatRequest } from "./contract.ts";

/** The client insists on a key; endpoints without one ignore it. */
const NO_KEY = "none";

export type Try = (request: ChatRequest, tries: number, signal: AbortSignal) => Promise<ChatAnswer>;

export function createOpenaiTry(config: OpenaiModelConfig): Try {
  const client = new OpenAI({
    baseURL: config.base_url,
    apiKey: config.api_key === undefined || config.api_key === "" ? NO_KEY : config.api_key,
    defaultHeaders: config.headers,
    organization: null,
    project: null,
    timeout: config.timeout,
    // Retries are ours: one loop, one policy, every try counted.
    maxRetries: 0,
  });
  return async (request, _, signal) => {
    try {
      const completion = await client.chat.completions.create(bodyOf(config.model, request), { signal });
      return answerOf(completion);
    } catch (thrown) {
      signal.throwIfAborted();
      throw translate(thrown, config);
    }
  };
}

function bodyOf(model: string, request: ChatRequest): OpenAI.ChatCompletionCreateParamsNonStreaming {
  const { messages, seed, sampling, tools, schema } = request;
  return {
    ...sampling,
    model,
    messages,
    seed,
    ...(tools === undefined ? {} : { tools }),
    ...(schema === undefined ? {} : { response_format: { type: "json_schema", json_schema: { name: "answer", schema, strict: true } } }),
  } as unknown as OpenAI.ChatCompletionCreateParamsNonStreaming;
}

function answerOf(completion: OpenAI.ChatCompletion): ChatAnswer {
  // Endpoints answer 200 with anything.
  const choice = (completion as Partial<OpenAI.ChatCompletion> | null)?.choices?.[0];
  const message = choice?.message as unknown as Record<string, Json> | undefined;
  if (message === undefined) throw badAnswer("it has no choices");
  const kept = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null && value !== undefined));
  const content = typeof message["content"] === "string" ? message["content"] : null;
  const calls = message["tool_calls"];
  const hasCalls = Array.isArray(calls) && calls.length > 0;
  if (!hasCalls) delete kept["tool_calls"];
  if ((content === null || content === "") && !hasCalls && kept["refusal"] === undefined) throw badAnswer("the message is empty");
  return {
    message: { ...kept, role: "assistant", content },
    finishReason: choice?.finish_reason ?? "stop",
    usage: {
      requests: 1,
      prompt_tokens: completion.usage?.prompt_tokens ?? 0,
      completion_tokens: completion.usage?.completion_tokens ?? 0,
    },
  };
}

function badAnswer(what: string): MatrixError {
  return new MatrixError("model_bad_answer", `the answer is no chat completion: ${what}`);
}

function translate(thrown: unknown, { base_url: url, timeout }: OpenaiModelConfig): MatrixError {
  const fail = (code: ErrorCode, message: string, retryAfterMs?: number): MatrixError =>
    new MatrixError(code, message, { cause: thrown, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
  if (thrown instanceof MatrixError) return thrown;
  if (thrown instanceof APIConnectionTimeoutError) return fail("model_timeout", `no answer from ${url} within ${timeout} ms`);
  if (thrown instanceof APIConnectionError)
    return fail("model_unavailable", `no connection to ${url}: ${messageOf(thrown.cause ?? thrown)}`);
  if (thrown instanceof APIError && !(thrown instanceof APIUserAbortError) && thrown.status !== undefined) {
    return fail(codeOf(thrown.status), `${url} answered ${thrown.message}`, retryAfter(thrown.headers));
  }
  // What is left broke while the body was read: cut in the middle, or no JSON.
  if (thrown instanceof SyntaxError) return fail("model_bad_answer", `the answer of ${url} is no JSON: ${thrown.message}`);
  return fail("model_unavailable", `the answer of ${url} broke off: ${messageOf(thrown)}`);
}

function codeOf(status: number): ErrorCode {
  if (status === 429) return "model_overloaded";
  if (status === 408 || status === 504) return "model_timeout";
  return status >= 500 ? "model_failed" : "model_refused_request";
}

/** RFC 9110, section 10.2.3: seconds or a date; `retry-after-ms` as OpenAI has it. */
function retryAfter(headers: Headers | undefined): number | undefined {
  const ms = Number(headers?.get("retry-after-ms") ?? Number.NaN);
  if (Number.isFinite(ms)) return ms;
  const value = headers?.get("retry-after");
  if (value === null || value === undefined) return undefined;
  const waitMs = /^\d+(\.\d+)?$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
}
