// The simulated model as an OpenAI-compatible endpoint: the same core as in process, with its
// failures in the form that HTTP gives them.

import { type Context, Hono } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { MatrixError, messageOf } from "../error.ts";
import type { SimulatedModelConfig } from "../recipe/schema/model-schema.ts";
import type { JsonObject } from "../task/json.ts";
import { deriveSeed } from "../task/seed.ts";
import { pause } from "./retry.ts";
import { parseServedRequest, type ServedRequest } from "./served-request.ts";
import {
  type Failure,
  type Replies,
  SIMULATED_FINGERPRINT,
  type SimulatedAnswer,
  simulate,
  TOO_LONG,
} from "./simulated.ts";

/** Bodies whose tries are counted. The oldest are forgotten. */
const TRIES_KEPT = 100_000;
const BODY_BYTES_MAX = 64 * 2 ** 20;

export interface ServedModel {
  /** The name under which the endpoint lists it. */
  readonly name: string;
  readonly config: SimulatedModelConfig;
  readonly replies: Replies | null;
}

export function createModelServer(served: ServedModel): Hono {
  const tries = new TryCounter();
  const app = new Hono();
  app.get("/healthz", (context) => context.json({ status: "ok", simulated: true }));
  app.get("/v1/models", (context) =>
    context.json({
      object: "list",
      data: [{ id: served.name, object: "model", created: 0, owned_by: "simulated" }],
    }),
  );
  app.post("/v1/chat/completions", (context) => complete(context, served, tries));
  app.notFound((context) =>
    failed(context, 404, `no such path: ${context.req.path}; use POST /v1/chat/completions`),
  );
  app.onError((thrown, context) =>
    failed(context, thrown instanceof MatrixError ? 400 : 500, messageOf(thrown)),
  );
  return app;
}

async function complete(
  context: Context,
  served: ServedModel,
  tries: TryCounter,
): Promise<Response> {
  const body = await context.req.text();
  if (body.length > BODY_BYTES_MAX)
    return failed(context, 413, `the body is larger than ${BODY_BYTES_MAX} bytes`);
  const parsed = parseServedRequest(body, served.name);
  if (typeof parsed === "string") return failed(context, 400, parsed);
  const { config } = served;
  const answer = simulate(config, served.replies, parsed.request, tries.next(body));
  const { signal } = context.req.raw;
  if (answer.failure === "rate_limited") {
    context.header("Retry-After", String(config.retry_after / 1000));
    return failed(context, 429, "rate limit reached (simulated)");
  }
  if (answer.failure === "server_error") return failed(context, 500, "internal error (simulated)");
  if (answer.failure === "timeout") return stall(context, config.timeout, signal);
  if (answer.failure === "context_length")
    return failed(context, 400, String(TOO_LONG.message["error"]), "context_length_exceeded");
  if (parsed.stream) return streamAnswer(context, parsed, answer, signal);
  await pause(answer.durationMs, signal);
  if (answer.failure !== null) return broken(answer.failure, parsed.model, signal);
  return context.json(completionOf(parsed.model, answer));
}

async function stall(context: Context, timeoutMs: number, signal: AbortSignal): Promise<Response> {
  await pause(timeoutMs, signal);
  return failed(context, 504, "timed out (simulated)");
}

/** A body that is not JSON, that breaks off, or that stalls. */
function broken(failure: Failure, model: string, signal: AbortSignal): Response {
  const text = JSON.stringify({
    id: "chatcmpl-simulated",
    object: "chat.completion",
    model,
    choices: [],
  });
  const half = text.slice(0, text.length / 2);
  const headers = { "content-type": "application/json" };
  if (failure === "malformed") return new Response(half, { headers });
  const lost = new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode(half));
      if (failure === "stalled")
        signal.addEventListener("abort", () => controller.error(signal.reason));
      else setTimeout(() => controller.error(new Error("lost (simulated)")), 0);
    },
  });
  return new Response(lost, { headers });
}

function streamAnswer(
  context: Context,
  { model, streamUsage }: ServedRequest,
  answer: SimulatedAnswer,
  signal: AbortSignal,
): Response {
  return streamSSE(context, async (stream) => {
    const chunks = chunksOf(answer);
    const send = (choices: unknown[], more: JsonObject = {}) =>
      write(stream, {
        id: "chatcmpl-simulated",
        object: "chat.completion.chunk",
        created: 0,
        model,
        system_fingerprint: SIMULATED_FINGERPRINT,
        choices,
        ...more,
      });
    for (const [index, delta] of chunks.entries()) {
      await pause(answer.durationMs / chunks.length, signal);
      if (answer.failure !== null && index >= chunks.length / 2) {
        if (answer.failure === "stalled") await untilAborted(signal);
        if (answer.failure === "malformed") await stream.writeSSE({ data: '{"choices": [{' });
        throw new Error("lost (simulated)");
      }
      await send([{ index: 0, delta, finish_reason: null }]);
    }
    await send([{ index: 0, delta: {}, finish_reason: answer.finishReason }]);
    if (streamUsage) await send([], { usage: usageOf(answer) });
    await stream.writeSSE({ data: "[DONE]" });
  });
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
}

async function write(stream: SSEStreamingApi, chunk: unknown): Promise<void> {
  await stream.writeSSE({ data: JSON.stringify(chunk) });
}

/** The message in pieces of up to four words. The first piece has everything but the text. */
function chunksOf({ message }: SimulatedAnswer): JsonObject[] {
  const { content, ...rest } = message;
  const pieces = (content ?? "").match(/(?:\S+\s*){1,4}|\s+/g) ?? [];
  return [{ ...rest, content: "" }, ...pieces.map((content) => ({ content }))];
}

function completionOf(model: string, answer: SimulatedAnswer): JsonObject {
  return {
    id: "chatcmpl-simulated",
    object: "chat.completion",
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: SIMULATED_FINGERPRINT,
    choices: [
      { index: 0, message: answer.message, finish_reason: answer.finishReason, logprobs: null },
    ],
    usage: usageOf(answer),
  };
}

function usageOf({ usage }: SimulatedAnswer): JsonObject {
  const { prompt_tokens, completion_tokens } = usage;
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

type ErrorStatus = 400 | 404 | 413 | 429 | 500 | 504;

function failed(
  context: Context,
  status: ErrorStatus,
  message: string,
  code: string | null = null,
): Response {
  const type =
    status === 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "server_error";
  return context.json({ error: { message, type, param: null, code } }, status);
}

/** Counts the tries of each body, so that a client that asks again can succeed. */
class TryCounter {
  readonly #tries = new Map<number, number>();

  /** The number of this try, from 0. */
  next(body: string): number {
    const key = deriveSeed(body);
    const tries = this.#tries.get(key) ?? 0;
    this.#tries.delete(key);
    this.#tries.set(key, tries + 1);
    if (this.#tries.size > TRIES_KEPT) {
      const oldest = this.#tries.keys().next().value;
      if (oldest !== undefined) this.#tries.delete(oldest);
    }
    return tries;
  }
}
