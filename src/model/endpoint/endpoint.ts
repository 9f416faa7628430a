// One try against one address of an OpenAI-compatible endpoint: the request, the answer whole or
// streamed, and the time limits. The stock client is not used: it took half of the processor time
// of a request.

import { createHash } from "node:crypto";
import { MatrixError, messageOf } from "../../error.ts";
import type { OpenaiModelConfig } from "../../recipe/schema/model-schema.ts";
import { isTooDeep, TOO_DEEP } from "../../task/depth.ts";
import { isJsonObject, type Json, type JsonObject } from "../../task/json.ts";
import { version } from "../../version.ts";
import { type ChatAnswer, type ChatRequest, type OnRejected, taskOf } from "../contract.ts";
import type { Address } from "../replica/addresses.ts";
import { AnswerMemory } from "./answer-memory.ts";
import { type Reach, unbounded } from "./body.ts";
import { badAnswer, parseCompletion } from "./completion.ts";
import { createConnection, type HttpResponse, type Send } from "./connection.ts";
import { masking, readCredentials } from "./credentials.ts";
import { errorIn, outcomeOfError, outcomeOfResponse, type Speaker } from "./error-answer.ts";
import { endingOf, UNKNOWN_ENDING } from "./finish-reasons.ts";
import { Received } from "./received.ts";
import { encodeBody } from "./request-body.ts";
import { Assembly } from "./stream.ts";
import { TimeLimits } from "./time-limits.ts";

const PROBE_TIMEOUT_MS = 5000;
/**
 * A probe that is not connected by then is sent anew: the kernel knocks at an address that drops
 * its packets after one second and then after ever longer ones.
 */
const PROBE_CONNECT_MS = 1500;
/** Statuses with which a server refuses a key. */
const REFUSED: ReadonlySet<number> = new Set([401, 402, 403]);
const STREAMED: JsonObject = { stream: true, stream_options: { include_usage: true } };

/** The bound of this process. */
const processMemory = new AnswerMemory();

/** The state of one try while its answer is read. */
interface Reading {
  readonly limits: TimeLimits;
  readonly received: Received;
  readonly reach: Reach;
}

export class Endpoint {
  readonly #config: OpenaiModelConfig;
  readonly #speaker: Speaker;
  readonly #send: Send;
  readonly #probe: Send;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #completions: URL;
  readonly #models: URL;
  readonly #notice: (what: string) => void;
  readonly #memory: AnswerMemory;

  /** `notice` tells the user of something odd; it is called with the same words again and again. */
  constructor(
    config: OpenaiModelConfig,
    { url, ip, label }: Address,
    notice: (what: string) => void = () => undefined,
    memory = processMemory,
  ) {
    const { headers, connect_timeout: connectTimeoutMs } = config;
    const { bare, authorization, secrets } = readCredentials(url, config);
    this.#config = config;
    this.#speaker = { label, mask: masking(secrets) };
    const connection = { label, ip, connectTimeoutMs, tls: config.tls ?? null };
    this.#send = createConnection(connection);
    this.#probe = createConnection({
      ...connection,
      connectTimeoutMs: Math.min(connectTimeoutMs, PROBE_CONNECT_MS),
    });
    this.#headers = {
      "content-type": "application/json",
      "user-agent": `matrix/${version}`,
      ...(authorization === null ? {} : { authorization }),
      ...headers,
    };
    this.#completions = urlBelow(bare, "chat/completions");
    this.#models = urlBelow(bare, "models");
    this.#notice = notice;
    this.#memory = memory;
  }

  /**
   * Fails with a MatrixError, or with the signal's reason. `onRejected` is called before that when
   * the answer stated tokens or a cost.
   */
  async ask(
    request: ChatRequest,
    signal: AbortSignal,
    onRejected: OnRejected = () => undefined,
  ): Promise<ChatAnswer> {
    const received = new Received();
    const reject = (why: unknown): void => {
      const answer = received.rejected(messageOf(why));
      if (answer !== null) onRejected(answer);
    };
    // A step that is cut off is recorded at once, so it must hear of its answer before that.
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    const { timeout, first_token_timeout: silence } = this.#config;
    using limits = new TimeLimits(signal, timeout, silence ?? null);
    using share = this.#memory.open(limits.signal);
    const reach: Reach = (bytes) => {
      const memory = share.reach(bytes);
      return memory === null ? null : limits.pausedFor(memory);
    };
    const reading = { limits, received, reach };
    try {
      const answer =
        silence === undefined
          ? await this.#askWhole(request, reading)
          : await this.#askStreamed(request, reading);
      if (endingOf(answer.finishReason) === null) this.#notice(unknownReason(answer.finishReason));
      return answer;
    } catch (thrown) {
      signal.throwIfAborted();
      const error =
        limits.passed === null
          ? thrown
          : new MatrixError("model_timeout", `${this.#speaker.label} gave ${limits.passed}`, {
              cause: thrown,
            });
      reject(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** Tells whether a server answers there, even if it has no list of models. */
  async isThere(): Promise<boolean> {
    try {
      const response = await this.#probe(this.#models, {
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

  /**
   * The names of the models that the server lists; null for a server that has no list. Fails with a
   * MatrixError when it cannot be reached or refuses the key, or with the signal's reason.
   */
  async listModels(signal: AbortSignal): Promise<readonly string[] | null> {
    // Nothing is asked here again soon, so the connection is not kept.
    const headers = { ...this.#headers, connection: "close" };
    const response = await this.#send(this.#models, { method: "GET", headers, signal });
    if (REFUSED.has(response.status))
      await this.#outcomeOf(response, { received: new Received(), reach: unbounded });
    if (!isOk(response)) {
      response.discard();
      return null;
    }
    const text = await response.text();
    try {
      const list: unknown = JSON.parse(text);
      const models = isJsonObject(list) ? list["data"] : null;
      if (!Array.isArray(models)) return null;
      return models.flatMap((model) => (isJsonObject(model) ? [String(model["id"])] : []));
    } catch {
      return null;
    }
  }

  async #askWhole(request: ChatRequest, reading: Reading): Promise<ChatAnswer> {
    const response = await this.#post(request, reading.limits.signal, {});
    return isOk(response)
      ? this.#readWhole(request, response, reading)
      : this.#outcomeOf(response, reading);
  }

  async #askStreamed(request: ChatRequest, reading: Reading): Promise<ChatAnswer> {
    const { limits, received, reach } = reading;
    const response = await this.#post(request, limits.signal, STREAMED);
    if (!isOk(response)) return this.#outcomeOf(response, reading);
    // Some endpoints ignore `stream` and answer whole.
    if (/\bjson\b/.test(response.headers["content-type"] ?? ""))
      return this.#readWhole(request, response, reading);
    const assembly = new Assembly();
    received.begin(response, () => assembly.partial);
    try {
      for await (const event of response.events(reach)) {
        limits.heard();
        const chunk = this.#parse(event);
        if (isTooDeep(chunk)) throw badAnswer(`it ${TOO_DEEP}`);
        if (!isJsonObject(chunk)) throw badAnswer("an event of it is not an object");
        const error = errorIn(chunk);
        if (error !== null) {
          assembly.note(chunk);
          return received.count(outcomeOfError(error, "broke off its answer", this.#speaker));
        }
        assembly.add(chunk);
        const memory = reach(assembly.bytes);
        if (memory !== null) await memory;
      }
    } catch (thrown) {
      // After the finish reason only the usage can follow, and the answer is whole without it.
      const isCutOff =
        limits.passed !== null || (thrown instanceof MatrixError && thrown.code === "model_lost");
      if (assembly.completion === null || !isCutOff) throw thrown;
    }
    if (assembly.completion === null)
      throw new MatrixError(
        "model_lost",
        `${this.#speaker.label} ended its stream before the answer: it gave no finish_reason`,
      );
    return this.#complete(request, assembly.completion, received);
  }

  async #readWhole(
    request: ChatRequest,
    response: HttpResponse,
    { received, reach }: Reading,
  ): Promise<ChatAnswer> {
    received.begin(response);
    const completion = this.#parse(await response.text(reach));
    received.begin(response, () => completion);
    const error = errorIn(completion);
    return error === null
      ? this.#complete(request, completion, received)
      : received.count(outcomeOfError(error, "answered with an error", this.#speaker));
  }

  #complete({ takesMalformed }: ChatRequest, completion: unknown, received: Received): ChatAnswer {
    const answer = parseCompletion(completion, takesMalformed);
    const { hostname, port, protocol } = this.#completions;
    const server = { address: hostname, port: Number(port) || (protocol === "https:" ? 443 : 80) };
    return { ...received.count(answer), server };
  }

  #post(request: ChatRequest, signal: AbortSignal, more: JsonObject): Promise<HttpResponse> {
    const { affinity_header: affinity } = this.#config;
    return this.#send(this.#completions, {
      method: "POST",
      headers:
        affinity === undefined
          ? this.#headers
          : { ...this.#headers, [affinity]: hashOf(taskOf(request)) },
      body: encodeBody(
        { ...bodyOf(this.#config, request), ...more },
        request.messages.some(({ content }) => typeof content === "object" && content !== null),
      ),
      signal,
    });
  }

  async #outcomeOf(
    response: HttpResponse,
    { received, reach }: Pick<Reading, "received" | "reach">,
  ): Promise<ChatAnswer> {
    const { status, headers } = response;
    const body = await response.text(reach).catch((thrown: unknown) => {
      if (thrown instanceof MatrixError && thrown.code === "model_answer_too_large")
        return thrown.message;
      throw thrown;
    });
    received.begin(response, () => parsed(body));
    return received.count(outcomeOfResponse({ status, headers, body }, this.#speaker));
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new MatrixError(
        "model_bad_answer",
        `the answer of ${this.#speaker.label} is not JSON: ${this.#speaker.mask(messageOf(cause))}`,
        isPage(text) ? { hint: PAGE_HINT } : {},
      );
    }
  }
}

const PAGE_HINT = "it is a web page: base_url must lead to the API, mostly with /v1 at its end";

function isPage(text: string): boolean {
  return text.trimStart().startsWith("<");
}

/** The body of an error; null for plain words, or for the page of a proxy. */
function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
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

/** The name of a task in requests: the same on every host, and for every request of the task. */
function hashOf(task: string): string {
  return createHash("sha256").update(task).digest("hex").slice(0, 32);
}

function unknownReason(reason: string): string {
  return (
    `the endpoint ended an answer with the finish_reason "${reason.slice(0, 100)}", which is not ` +
    `known; such answers end their tasks with the stop reason "${UNKNOWN_ENDING}"`
  );
}

function bodyOf(
  { model, seed: sendsSeed }: OpenaiModelConfig,
  { messages, seed, sampling, tools, schema }: ChatRequest,
): JsonObject {
  return {
    ...sampling,
    model,
    messages: messages as unknown as Json,
    ...(sendsSeed ? { seed } : {}),
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
