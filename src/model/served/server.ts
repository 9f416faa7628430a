// The simulated model as an OpenAI-compatible endpoint: the same core as in process, with its
// failures in the form that HTTP gives them.

import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { MatrixError, messageOf } from "../../error.ts";
import type { SimulatedModelConfig } from "../../recipe/schema/model-schema.ts";
import type { JsonObject } from "../../task/json.ts";
import { deriveSeed } from "../../task/seed.ts";
import { pause } from "../retry.ts";
import {
  type Failure,
  type RemoteReplies,
  type Replies,
  simulate,
  TOO_LONG,
} from "../simulated.ts";
import type { Wrong } from "./checks.ts";
import { answerEmbeddings } from "./embeddings.ts";
import { type Choice, pieceFrame, piecesOf, usageOf, wholeOf } from "./reply.ts";
import { type Parsed, parseChatRequest, parseTextRequest, type ServedRequest } from "./request.ts";

/** Bodies whose tries are counted. The oldest are forgotten. */
const TRIES_KEPT = 100_000;
const BODY_BYTES_MAX = 64 * 2 ** 20;

export interface ServedModel {
  /** The name under which the endpoint lists it. */
  readonly name: string;
  readonly config: SimulatedModelConfig;
  readonly replies: Replies | RemoteReplies | null;
}

export function createModelServer(served: ServedModel): Hono {
  const tries = new TryCounter();
  const model = { id: served.name, object: "model", created: 0, owned_by: "simulated" };
  const app = new Hono();
  app.get("/healthz", (context) => context.json({ status: "ok", simulated: true }));
  app.get("/v1/models", (context) => context.json({ object: "list", data: [model] }));
  app.get("/v1/models/:id{.+}", (context) => {
    const id = context.req.param("id");
    return id === served.name
      ? context.json(model)
      : failed(context, 404, `the model ${id} does not exist; there is ${served.name}`, {
          code: "model_not_found",
          param: "model",
        });
  });
  app.post("/v1/chat/completions", (context) => complete(context, served, tries, parseChatRequest));
  app.post("/v1/completions", (context) => complete(context, served, tries, parseTextRequest));
  app.post("/v1/embeddings", (context) => embed(context, served));
  app.notFound((context) =>
    failed(
      context,
      404,
      `no such path: ${context.req.method} ${context.req.path}; use POST /v1/chat/completions, ` +
        "/v1/completions or /v1/embeddings, or GET /v1/models",
    ),
  );
  app.onError((thrown, context) =>
    failed(context, thrown instanceof MatrixError ? 400 : 500, messageOf(thrown)),
  );
  return app;
}

async function embed(context: Context, { name }: ServedModel): Promise<Response> {
  const body = await context.req.text();
  if (isTooLarge(body)) return tooLarge(context);
  const answered = answerEmbeddings(body, name);
  return "wrong" in answered ? refused(context, answered.wrong) : context.json(answered.answer);
}

async function complete(
  context: Context,
  { name, config, replies }: ServedModel,
  tries: TryCounter,
  parse: (body: string, modelName: string) => Parsed,
): Promise<Response> {
  const body = await context.req.text();
  if (isTooLarge(body)) return tooLarge(context);
  const parsed = parse(body, name);
  if ("wrong" in parsed) return refused(context, parsed.wrong);
  const nth = tries.next(body);
  const choices = await Promise.all(
    parsed.asked.map(async (request, index) => ({
      index,
      request,
      answer: await simulate(config, replies, request, nth),
    })),
  );
  // One request fails as a whole, as its first choice does.
  const failure = choices[0]?.answer.failure ?? null;
  const { signal } = context.req.raw;
  if (failure === "rate_limited") {
    context.header("Retry-After", String(config.retry_after / 1000));
    return failed(context, 429, "rate limit reached (simulated)");
  }
  if (failure === "server_error") return failed(context, 500, "internal error (simulated)");
  if (failure === "timeout") return stall(context, config.timeout, signal);
  if (failure === "context_length")
    return failed(context, 400, String(TOO_LONG.message["error"]), {
      code: "context_length_exceeded",
    });
  if (parsed.stream) return streamAnswer(context, parsed, choices, failure, signal);
  await pause(durationOf(choices), signal);
  if (failure !== null) return broken(failure, parsed.model, signal);
  return context.json(wholeOf(parsed, choices));
}

/** The choices of an answer are made at the same time. */
function durationOf(choices: readonly Choice[]): number {
  return Math.max(0, ...choices.map(({ answer }) => answer.durationMs));
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
  served: ServedRequest,
  choices: readonly Choice[],
  failure: Failure | null,
  signal: AbortSignal,
): Response {
  const frame = pieceFrame(served);
  const pieces = choices.map((choice) => piecesOf(served, choice));
  // The last piece of a choice has no text, and takes no time.
  const rounds = Math.max(...pieces.map(({ length }) => length - 1));
  return streamSSE(context, async (stream) => {
    const send = (choice: readonly JsonObject[], more: JsonObject = {}) =>
      stream.writeSSE({ data: JSON.stringify({ ...frame, choices: choice, ...more }) });
    for (let round = 0; round <= rounds; round++) {
      if (round < rounds) await pause(durationOf(choices) / rounds, signal);
      if (failure !== null && round >= rounds / 2) {
        if (failure === "stalled") await untilAborted(signal);
        if (failure === "malformed") await stream.writeSSE({ data: '{"choices": [{' });
        throw new Error("lost (simulated)");
      }
      for (const own of pieces) {
        const piece = own[round];
        if (piece !== undefined) await send([piece]);
      }
    }
    if (served.streamUsage) await send([], { usage: usageOf(choices) });
    await stream.writeSSE({ data: "[DONE]" });
  });
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
}

function isTooLarge(body: string): boolean {
  return body.length > BODY_BYTES_MAX;
}

function tooLarge(context: Context): Response {
  return failed(context, 413, `the body is larger than ${BODY_BYTES_MAX} bytes`);
}

function refused(context: Context, { message, param }: Wrong): Response {
  return failed(context, 400, message, { param });
}

type ErrorStatus = 400 | 404 | 413 | 429 | 500 | 504;

function failed(
  context: Context,
  status: ErrorStatus,
  message: string,
  { code = null, param = null }: { code?: string | null; param?: string | null } = {},
): Response {
  const type =
    status === 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "server_error";
  return context.json({ error: { message, type, param, code } }, status);
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
