// HTTP to one address of an endpoint, in the shape of fetch. Bun's own fetch has at most 256 requests under way in a process and
// takes a server that does not accept for one that thinks; node:http has neither trait, on Bun and on Deno.

import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as SecureAgent } from "node:https";
import { isIPv6, type LookupFunction } from "node:net";
import { messageOf } from "../error.ts";

export interface ConnectionOptions {
  /** Where the URL's name is looked for; TLS and Host keep the name. Null: wherever the name leads. */
  readonly ip: string | null;
  readonly connectTimeoutMs: number;
}

/** Nothing was sent: no connection came about. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

export type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** Connections are kept open and used again. Fails with Unreachable, with the signal's reason, or with what broke the connection. */
export function createFetch({ ip, connectTimeoutMs }: ConnectionOptions): Fetch {
  // Sockets of a server that had ten thousand requests are worth keeping. The environment's proxies are respected, as fetch does.
  const pool = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: Number.POSITIVE_INFINITY, proxyEnv: process.env };
  const [plain, secure] = [new Agent(pool), new SecureAgent(pool)];
  const lookup = ip === null ? {} : { lookup: leadTo(ip) };
  return (target, { method = "GET", headers, body, signal } = {}) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const url = new URL(String(target));
      const isSecure = url.protocol === "https:";
      const options = { method, headers: Object.fromEntries(new Headers(headers)), agent: isSecure ? secure : plain, ...lookup };
      const request = (isSecure ? httpsRequest : httpRequest)(url, options);
      const isConnected = watchConnection(request, isSecure ? "secureConnect" : "connect", connectTimeoutMs);
      const abort = (): void => void request.destroy(signal?.reason);
      signal?.addEventListener("abort", abort, { once: true });
      request.on("close", () => signal?.removeEventListener("abort", abort));
      request.on("error", (error) => {
        const isOurs = error === signal?.reason || error instanceof Unreachable;
        reject(isOurs || isConnected() ? error : new Unreachable(messageOf(error), { cause: error }));
      });
      request.on("response", (message) => resolve(responseOf(message)));
      request.end(body);
    });
}

function leadTo(ip: string): LookupFunction {
  const family = isIPv6(ip) ? 6 : 4;
  return (_, { all }, found) => (all === true ? found(null, [{ address: ip, family }]) : found(null, ip, family));
}

/** Ends a request whose connection does not come about in time. Answers whether it did. */
function watchConnection(request: ClientRequest, connected: "connect" | "secureConnect", timeoutMs: number): () => boolean {
  let isConnected = false;
  request.once("socket", (socket) => {
    isConnected = !socket.connecting;
    if (isConnected) return;
    const timer = setTimeout(() => request.destroy(new Unreachable(`no connection within ${timeoutMs} ms`)), timeoutMs);
    socket.once(connected, () => {
      isConnected = true;
      clearTimeout(timer);
    });
    socket.once("close", () => clearTimeout(timer));
  });
  return () => isConnected;
}

function responseOf(message: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headers)) if (value !== undefined) headers.set(name, String(value));
  // A reader that has all it wants (a stream's "[DONE]") cancels what still comes.
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      message.on("data", (chunk: Uint8Array) => {
        if (isCancelled) return;
        controller.enqueue(chunk);
        if ((controller.desiredSize ?? 1) <= 0) message.pause();
      });
      message.on("end", () => isCancelled || controller.close());
      message.on("error", (error) => isCancelled || controller.error(error));
    },
    pull: () => void message.resume(),
    cancel: () => {
      isCancelled = true;
      // To its end: the connection can be used again.
      message.resume();
    },
  });
  return new Response(body, { status: message.statusCode ?? 500, headers });
}
