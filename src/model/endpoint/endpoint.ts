// One try against one address of an OpenAI-compatible endpoint: the request, the answer whole or
// streamed, and the time limits. The stock client is not used: it took half of the processor time
// of a request.

import { MatrixError, messageOf } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { version } from "../../version.ts";
import type { ChatAnswer, ChatRequest } from "../contract.ts";
import type { Address } from "./addresses.ts";
import { badAnswer, parseCompletion } from "./completion.ts";
import { createConnection, type HttpResponse, type Send } from "./connection.ts";
import { outcomeOfEvent, outcomeOfResponse } from "./error-answer.ts";
import { Assembly } from "./stream.ts";
import { TimeLimits } from "./time-limits.ts";
import { withHeaderCost } from "./usage.ts";

const PROBE_TIMEOUT_MS = 5000;

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
    this.#send = createConnection({ label, ip, connectTimeoutMs });
    this.#headers = {
      "content-type": "application/json",
      "user-agent": `matrix/${version}`,
      ...(key === "" ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    };
    this.#completions = urlBelow(url, "chat/completions");
    this.#models = urlBelow(url, "models");
  }

  /** Fails with a MatrixError, or with the signal's reason. */
  async ask(request: ChatRequest, signal: AbortSignal): Promise<ChatAnswer> {
    const { timeout, first_token_timeout: silence } = this.#config;
    using limits = new TimeLimits(signal, timeout, silence ?? null);
    try {
      const body = bodyOf(this.#config.model, request);
      return silence === undefined
        ? await this.#askWhole(body, limits)
        : await this.#askStreamed(body, limits);
    } catch (thrown) {
      signal.throwIfAborted();
      if (limits.passed === null) throw thrown;
      throw new MatrixError("model_timeout", `${this.#label} gave ${limits.passed}`, {
        cause: thrown,
      });
    }
  }

  /** Tells whether a server answers there, even if it has no list of models. */
  async isThere(): Promise<boolean> {
    try {
      const response = await this.#send(this.#models, {
        method: "GET",
        headers: this.#headers,
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      });
      response.discard();
      return response.status < 500;
    } catch {
      return false;
    }
  }

  async #askWhole(body: JsonObject, { signal }: TimeLimits): Promise<ChatAnswer> {
    const response = await this.#post(body, signal);
    return isOk(response) ? this.#whole(response) : await this.#outcomeOf(response);
  }

  async #askStreamed(body: JsonObject, limits: TimeLimits): Promise<ChatAnswer> {
    const response = await this.#post(
      { ...body, stream: true, stream_options: { include_usage: true } },
      limits.signal,
    );
    if (!isOk(response)) return this.#outcomeOf(response);
    // Some endpoints ignore `stream` and answer whole.
    if (/\bjson\b/.test(response.headers["content-type"] ?? "")) return this.#whole(response);
    const assembly = new Assembly();
    for await (const event of response.events()) {
      limits.heard();
      const chunk = this.#parse(event);
      if (!isJsonObject(chunk)) throw badAnswer("an event of it is not an object");
      if (isJsonObject(chunk["error"])) return outcomeOfEvent(chunk, this.#label);
      assembly.add(chunk);
    }
    if (assembly.completion === null)
      throw new MatrixError("model_lost", `${this.#label} ended its stream before the answer`);
    return withCost(parseCompletion(assembly.completion), response);
  }

  async #whole(response: HttpResponse): Promise<ChatAnswer> {
    return withCost(parseCompletion(this.#parse(await response.text())), response);
  }

  #post(body: JsonObject, signal: AbortSignal): Promise<HttpResponse> {
    return this.#send(this.#completions, {
      method: "POST",
      headers: this.#headers,
      body: JSON.stringify(body),
      signal,
    });
  }

  async #outcomeOf(response: HttpResponse): Promise<ChatAnswer> {
    const { status, headers } = response;
    return outcomeOfResponse({ status, headers, body: await response.text() }, this.#label);
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new MatrixError(
        "model_bad_answer",
        `the answer of ${this.#label} is not JSON: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}

function withCost(answer: ChatAnswer, { headers }: HttpResponse): ChatAnswer {
  return { ...answer, usage: withHeaderCost(answer.usage, headers) };
}

function isOk({ status }: HttpResponse): boolean {
  return status >= 200 && status < 300;
}

/** A path below an endpoint's URL. The query of the URL stays. */
function urlBelow(base: string, path: string): URL {
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
