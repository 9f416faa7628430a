// The peer protocol's server: who may say what to this host. It knows nothing of what the bodies mean. Whoever has no token
// learns nothing at all; a member whose request does not fit learns by the status which of its headers is wrong.

import { timingSafeEqual } from "node:crypto";
import { type Context, Hono } from "hono";
import { type Exchange, serveHttp2 } from "./http2-server.ts";
import { ReplayGuard } from "./replay.ts";
import type { HostId } from "./routing.ts";
import { WireError } from "./wire-error.ts";

export const PROTOCOL_VERSION = "1";
export const CONTENT_TYPE = "application/msgpack";

export interface Route {
  readonly bytesMax: number;
  readonly run: (body: Uint8Array, from: HostId) => Uint8Array | Promise<Uint8Array>;
}

export interface PeerServerOptions {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
  /** Proves membership of the run. */
  readonly token: string;
  readonly tls: boolean;
  readonly self: HostId;
  /** `batch` is POST /v1/batch. */
  readonly routes: Readonly<Record<string, Route>>;
  /** GET /metrics, in the Prometheus text format. */
  readonly metrics: () => string | Promise<string>;
  /** A route threw something other than a `WireError`. */
  readonly onBug: (thrown: unknown) => void;
}

export interface PeerServer {
  readonly port: number;
  /** Requests refused, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

type Env = { Bindings: Exchange };

/** Why a request is refused, and with which status. */
const REFUSALS = {
  stranger: 401,
  path: 404,
  method: 405,
  replayed: 409,
  too_large: 413,
  content_type: 415,
  addressee: 421,
  version: 426,
  sender: 400,
  malformed: 400,
  cut: 400,
  bug: 500,
} as const;

type Refusal = keyof typeof REFUSALS;

export async function servePeers(options: PeerServerOptions): Promise<PeerServer> {
  const refused: Record<string, number> = {};
  const app = createApp(options, (context, reason) => {
    refused[reason] = (refused[reason] ?? 0) + 1;
    return context.body(null, REFUSALS[reason]);
  });
  const { hostname, port } = options;
  const { port: bound, stop } = await serveHttp2({ hostname, port, tls: null, fetch: (request, exchange) => app.fetch(request, exchange) });
  return { port: bound, refused, stop };
}

type Refuse = (context: Context<Env>, reason: Refusal) => Response;

function createApp({ token, self, routes, metrics, onBug }: PeerServerOptions, refuse: Refuse): Hono<Env> {
  const expected = Buffer.from(`Bearer ${token}`);
  const replays = new ReplayGuard();
  const app = new Hono<Env>();
  app.get("/healthz", (context) => context.text("ok"));
  app.use(async (context, next) => (isEqual(context.req.header("authorization") ?? "", expected) ? next() : refuse(context, "stranger")));
  app.get("/metrics", async (context) => context.text(await metrics()));
  app.all("/v1/:route", async (context) => {
    const route = Object.hasOwn(routes, context.req.param("route")) ? routes[context.req.param("route")] : undefined;
    const header = (name: string) => context.req.header(name) ?? "";
    const from = header("matrix-from");
    if (header("matrix-protocol") !== PROTOCOL_VERSION) return refuse(context, "version");
    if (header("matrix-to") !== "" && header("matrix-to") !== self) return refuse(context, "addressee");
    if (!/^[\w-]{1,64}$/.test(from)) return refuse(context, "sender");
    if (route === undefined) return refuse(context, "path");
    if (context.req.method !== "POST") return refuse(context, "method");
    if (header("content-type") !== CONTENT_TYPE) return refuse(context, "content_type");
    if (Number(header("content-length")) > route.bytesMax) return refuse(context, "too_large");
    const number = header("matrix-request");
    if (!/^\d{1,15}$/.test(number) || !replays.accept(from, Number(number))) return refuse(context, "replayed");
    const body = await context.env.readBody(route.bytesMax);
    if (body === "cut") return refuse(context, "cut");
    if (body === "too large") return refuse(context, "too_large");
    const answer = await route.run(body, from);
    return context.body(answer as Uint8Array<ArrayBuffer>, 200, { "content-type": CONTENT_TYPE });
  });
  app.notFound((context) => refuse(context, "path"));
  app.onError((thrown, context) => {
    if (thrown instanceof WireError) return refuse(context, "malformed");
    onBug(thrown);
    return refuse(context, "bug");
  });
  return app;
}

function isEqual(given: string, expected: Buffer): boolean {
  const bytes = Buffer.from(given);
  // The length is no secret.
  return bytes.length === expected.length && timingSafeEqual(bytes, expected);
}
