// The peer protocol's server: who may say what to this host, without knowing what the bodies mean. Whoever has no token learns
// nothing at all; a member whose request does not fit learns by the status what is wrong with it.

import { timingSafeEqual } from "node:crypto";
import { type Context, Hono } from "hono";
import { hyper } from "../platform.ts";
import type { Exchange } from "./exchange.ts";
import { serveHttp2 } from "./http2-server.ts";
import { serveHyper } from "./hyper-server.ts";
import { ReplayGuard } from "./replay-guard.ts";
import { tlsIdentity } from "./tls.ts";
import { WireError } from "./wire-error.ts";

export const PROTOCOL_VERSION = "1";
export const CONTENT_TYPE = "application/msgpack";

export interface Route {
  readonly bytesMax: number;
  /** Throws a `WireError` for a body that is not what it should be. */
  readonly run: (body: Uint8Array, from: string) => Uint8Array | Promise<Uint8Array>;
}

export interface PeerServerOptions {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
  /** Proves membership of the run. */
  readonly token: string;
  readonly tls: boolean;
  readonly self: string;
  /** `batch` is POST /v1/batch. */
  readonly routes: Readonly<Record<string, Route>>;
  /** GET /metrics, in the Prometheus text format. */
  readonly metrics: () => string | Promise<string>;
  /** Told what a route threw that is no `WireError`. */
  readonly onBug: (thrown: unknown) => void;
  /** How long a connection may stay without one request of a member. */
  readonly strangerTimeoutMs?: number;
}

export interface PeerServer {
  readonly port: number;
  /** Requests refused, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

/** Why a request is refused, and the status that says so. */
const REFUSALS = {
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
} as const;

type Refusal = keyof typeof REFUSALS;
type PeerContext = Context<{ Bindings: Exchange }>;

export async function servePeers(options: PeerServerOptions): Promise<PeerServer> {
  if (options.token === "") throw new Error("an empty token proves nothing");
  const refused: Record<string, number> = {};
  const app = createApp(options, (reason) => {
    refused[reason] = (refused[reason] ?? 0) + 1;
  });
  const tls = options.tls ? await tlsIdentity(options.token) : null;
  const http = {
    ...options,
    tls,
    handle: (exchange: Exchange) => void app.fetch(requestOf(exchange), exchange),
  };
  const server = await (hyper === null ? serveHttp2(http) : serveHyper(hyper, http));
  return { ...server, refused };
}

/** What hono reads of a request, and no more: a real one costs more than everything else here. */
function requestOf(exchange: Exchange): Request {
  const headers = { get: (name: string) => exchange.header(name) };
  return {
    method: exchange.method,
    url: `http://peer${exchange.path}`,
    headers,
  } as unknown as Request;
}

function createApp(
  { token, self, routes, metrics, onBug }: PeerServerOptions,
  count: (reason: Refusal) => void,
) {
  const proof = Buffer.from(`Bearer ${token}`);
  const replays = new ReplayGuard();
  const refuse = ({ env }: PeerContext, reason: Refusal): Response => {
    count(reason);
    return answer(env, REFUSALS[reason], null, "");
  };

  const take = async (context: PeerContext): Promise<Response> => {
    const { env, req } = context;
    const name = req.param("route") ?? "";
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
    const problem = problemOf(env, self);
    if (problem !== null) return refuse(context, problem);
    if (route === undefined) return refuse(context, "path");
    const bytes = Number(env.header("content-length"));
    if (bytes > route.bytesMax) return refuse(context, "too_large");
    const from = env.header("matrix-from") ?? "";
    if (!replays.accept(from, Number(env.header("matrix-request"))))
      return refuse(context, "replayed");
    const body = await env.readBody(bytes);
    if (body === null) return refuse(context, "cut");
    return answer(env, 200, CONTENT_TYPE, await route.run(body, from));
  };

  const app = new Hono<{ Bindings: Exchange }>();
  app.get("/healthz", ({ env }) => answer(env, 200, "text/plain", "ok"));
  app.use(async (context, next) => {
    if (!isEqual(context.env.header("authorization") ?? "", proof))
      return refuse(context, "stranger");
    context.env.admit();
    return next();
  });
  app.get("/metrics", async ({ env }) =>
    answer(env, 200, "text/plain; version=0.0.4", await metrics()),
  );
  app.all("/v1/:route", take);
  app.notFound((context) => refuse(context, "path"));
  app.onError((thrown, context) => {
    if (thrown instanceof WireError) return refuse(context, "malformed");
    onBug(thrown);
    return refuse(context, "bug");
  });
  return app;
}

/** What is wrong with a member's headers. */
function problemOf(exchange: Exchange, self: string): Refusal | null {
  const to = exchange.header("matrix-to");
  if (exchange.header("matrix-protocol") !== PROTOCOL_VERSION) return "version";
  if (to !== "" && to !== self) return "addressee";
  if (!/^[\w-]{1,64}$/.test(exchange.header("matrix-from") ?? "")) return "sender";
  if (exchange.method !== "POST") return "method";
  if (exchange.header("content-type") !== CONTENT_TYPE) return "content_type";
  if (!isNumber(exchange.header("content-length"))) return "length";
  return isNumber(exchange.header("matrix-request")) ? null : "replayed";
}

function isNumber(header: string | null): boolean {
  return /^\d{1,15}$/.test(header ?? "");
}

/** Hono wants a response to every request; the real ones go out by themselves, at a fifth less of the server's time. */
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

function isEqual(given: string, expected: Buffer): boolean {
  const bytes = Buffer.from(given);
  // The length is no secret.
  return bytes.length === expected.length && timingSafeEqual(bytes, expected);
}
