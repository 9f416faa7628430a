// The reception of a peer's server. It judges every request by its headers, and hands the bodies of
// members to their routes without knowing what they mean. A client without the token gets a
// greeting (proof.ts) and learns nothing else. The status tells a member what is wrong with its
// request.
//
// A reception has no routes until it is started. Until then members are refused as "starting".

import { type Context, Hono } from "hono";
import { MatrixError } from "../error.ts";
import type { Exchange } from "./exchange.ts";
import { CHALLENGE, GREETING_PATH, Greeter, isEqual, isPeerId, metricsToken } from "./proof.ts";
import { ReplayGuard } from "./replay-guard.ts";

export const PROTOCOL_VERSION = "2";
export const CONTENT_TYPE = "application/msgpack";

export interface Route {
  readonly bytesMax: number;
  /** Fails with `wire_invalid` when the body does not fit. */
  readonly run: (body: Uint8Array, from: string) => Uint8Array | Promise<Uint8Array>;
}

/** The requests that members may make of a process. */
export interface PeerService {
  /** The routes by name: `batch` answers POST /v1/batch. */
  readonly routes: Readonly<Record<string, Route>>;
  /** Renders GET /metrics, in the Prometheus text format. */
  readonly metrics: () => string | Promise<string>;
}

export interface ReceptionOptions {
  /** Proves membership of the run. */
  readonly token: string;
  readonly self: string;
  /** Takes an error of a route that is not `wire_invalid`. */
  readonly onBug: (thrown: unknown) => void;
}

/** Reasons why a request is refused, and the status of each. */
export const REFUSALS = {
  malformed: 400,
  sender: 400,
  cut: 400,
  stranger: 401,
  path: 404,
  method: 405,
  replayed: 409,
  length: 411,
  too_large: 413,
  content_type: 415,
  addressee: 421,
  version: 426,
  bug: 500,
  starting: 503,
} as const;

type Refusal = keyof typeof REFUSALS;
type PeerContext = Context<{ Bindings: Exchange }>;

export class Reception {
  /** Requests that were refused, by reason. */
  readonly refused: Partial<Record<Refusal, number>> = {};
  readonly #options: ReceptionOptions;
  readonly #greeter: Greeter;
  readonly #metricsToken: string;
  readonly #replays = new ReplayGuard();
  readonly #app: Hono<{ Bindings: Exchange }>;
  #service: PeerService | null = null;

  constructor(options: ReceptionOptions) {
    if (options.token === "") throw new Error("an empty token proves nothing");
    this.#options = options;
    this.#greeter = new Greeter(options.token, options.self);
    this.#metricsToken = metricsToken(options.token);
    this.#app = this.#createApp();
  }

  start(service: PeerService): void {
    this.#service = service;
  }

  take(exchange: Exchange): void {
    void this.#app.fetch(requestOf(exchange), exchange);
  }

  #createApp(): Hono<{ Bindings: Exchange }> {
    const app = new Hono<{ Bindings: Exchange }>();
    app.get("/healthz", ({ env }) => answer(env, 200, "text/plain", "ok"));
    app.post(GREETING_PATH, (context) => this.#greet(context));
    app.use(async (context, next) => {
      const { env } = context;
      const authorization = env.header("authorization") ?? "";
      const from = env.header("matrix-from") ?? "";
      if (env.method === "GET" && isEqual(authorization, `Bearer ${this.#metricsToken}`))
        return this.#answerMetrics(context);
      if (!this.#greeter.isMember(authorization, from, env.connection))
        return this.#refuse(context, "stranger");
      env.admit();
      return next();
    });
    app.all("/v1/:route", (context) => this.#takeCall(context));
    app.notFound((context) => this.#refuse(context, "path"));
    app.onError((thrown, context) => {
      if (thrown instanceof MatrixError && thrown.code === "wire_invalid")
        return this.#refuse(context, "malformed");
      this.#options.onBug(thrown);
      return this.#refuse(context, "bug");
    });
    return app;
  }

  #greet(context: PeerContext): Response {
    const { env } = context;
    if (env.header("matrix-protocol") !== PROTOCOL_VERSION) return this.#refuse(context, "version");
    const greeting = this.#greeter.greet(env.header(CHALLENGE) ?? "", env.connection);
    if (greeting === null) return this.#refuse(context, "stranger");
    return answer(env, 200, "text/plain", greeting);
  }

  async #answerMetrics(context: PeerContext): Promise<Response> {
    if (context.req.path !== "/metrics") return this.#refuse(context, "path");
    if (this.#service === null) return this.#refuse(context, "starting");
    const metrics = await this.#service.metrics();
    return answer(context.env, 200, "text/plain; version=0.0.4", metrics);
  }

  async #takeCall(context: PeerContext): Promise<Response> {
    const { env, req } = context;
    const name = req.param("route") ?? "";
    const problem = problemOf(env, this.#options.self);
    if (problem !== null) return this.#refuse(context, problem);
    if (this.#service === null) return this.#refuse(context, "starting");
    const { routes } = this.#service;
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
    if (route === undefined) return this.#refuse(context, "path");
    const bytes = Number(env.header("content-length"));
    if (bytes > route.bytesMax) return this.#refuse(context, "too_large");
    const from = env.header("matrix-from") ?? "";
    if (!this.#replays.accept(from, Number(env.header("matrix-request"))))
      return this.#refuse(context, "replayed");
    const body = await env.readBody(bytes);
    if (body === null) return this.#refuse(context, "cut");
    return answer(env, 200, CONTENT_TYPE, await route.run(body, from));
  }

  #refuse({ env }: PeerContext, reason: Refusal): Response {
    this.refused[reason] = (this.refused[reason] ?? 0) + 1;
    return answer(env, REFUSALS[reason], null, "");
  }
}

/** The part of a request that hono reads. A real one costs more than everything else here. */
function requestOf(exchange: Exchange): Request {
  return {
    method: exchange.method,
    url: `http://peer${exchange.path}`,
  } as unknown as Request;
}

/** The first thing that is wrong with a member's headers; null when they are sound. */
function problemOf(exchange: Exchange, self: string): Refusal | null {
  const to = exchange.header("matrix-to");
  if (exchange.header("matrix-protocol") !== PROTOCOL_VERSION) return "version";
  if (to !== "" && to !== self) return "addressee";
  if (!isPeerId(exchange.header("matrix-from") ?? "")) return "sender";
  if (exchange.method !== "POST") return "method";
  if (exchange.header("content-type") !== CONTENT_TYPE) return "content_type";
  if (!isNumber(exchange.header("content-length"))) return "length";
  return isNumber(exchange.header("matrix-request")) ? null : "replayed";
}

function isNumber(header: string | null): boolean {
  return /^\d{1,15}$/.test(header ?? "");
}

/**
 * The response that hono requires for every request. The real response is written directly, which
 * saves a fifth of the server's time.
 */
const ANSWERED = new Response(null);

function answer(
  exchange: Exchange,
  status: number,
  contentType: string | null,
  body: Uint8Array | string,
): Response {
  exchange.answer(status, contentType, body);
  return ANSWERED;
}
