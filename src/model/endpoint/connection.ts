// HTTP to one address of an endpoint, and the only file that sees errors of the network: it turns
// them into MatrixErrors. It does not use fetch: Bun's fetch has at most 256 requests under way in
// a process, and cannot tell a server that does not accept connections from one that is thinking.
// node:http can do both, on Bun and on Deno.

import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { MatrixError, messageOf } from "../../error.ts";
import { TASK_BYTES_MAX } from "../../task/size.ts";
import { type BodyLimits, type Reach, readEvents, readText, unbounded } from "./body.ts";
import { Pool, type PoolOptions } from "./pool.ts";
import type { RequestBody, StreamedBody } from "./request-body.ts";

/** Limit for the body of one answer: a larger one fits no task. */
const BODY_BYTES_MAX = TASK_BYTES_MAX;
/** Streamed answers repeat much of their frame, which is not kept. */
const STREAM_FACTOR = 4;

export interface ConnectionOptions extends Partial<Pick<PoolOptions, "tls" | "env">> {
  /** Names the endpoint in errors. */
  readonly label: string;
  readonly ip: string | null;
  readonly connectTimeoutMs: number;
  readonly bodyBytesMax?: number;
}

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  readonly signal: AbortSignal;
}

/** A response whose head has arrived. Its body is read once, as text or as events, or discarded. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /**
   * Fails with `model_lost` when the body breaks off, and with `model_answer_too_large` when it is
   * larger than its limit. `reach` grants memory (src/model/endpoint/body.ts).
   */
  text(reach?: Reach): Promise<string>;
  /** The data of server-sent events, until "[DONE]" or the end. Fails as `text` does. */
  events(reach?: Reach): AsyncGenerator<string>;
  discard(): void;
}

/**
 * Sends a request and resolves with the head of its response. Fails with `model_unavailable` when
 * no connection came about and nothing was sent, with `model_lost` when the connection broke later,
 * or with the signal's reason.
 */
export type Send = (url: URL, request: HttpRequest) => Promise<HttpResponse>;

/** Connections are kept open and reused, and proxies that the environment names are respected. */
export function createConnection({
  label,
  ip,
  connectTimeoutMs,
  bodyBytesMax = BODY_BYTES_MAX,
  tls = null,
  env = process.env,
}: ConnectionOptions): Send {
  const pool = { ip, tls, env };
  const pools = { kept: new Pool(pool, true), fresh: new Pool(pool, false) };
  const lost = (cause: unknown) => lostError(label, cause);
  const limits = { bytesMax: bodyBytesMax, lost };
  const attempt = (pool: Pool, url: URL, { method, headers, body, signal }: HttpRequest) =>
    new Promise<HttpResponse>((resolve, reject) => {
      const isStreamed = typeof body === "object";
      if (signal.aborted) return reject(signal.reason);
      const isSecure = url.protocol === "https:";
      let request: ClientRequest;
      try {
        const length = isStreamed ? { "content-length": String(body.bytes) } : {};
        const options = { method, headers: { ...headers, ...length }, ...pool.optionsFor(url) };
        request = (isSecure ? httpsRequest : httpRequest)(url, options);
      } catch (cause) {
        // A header that cannot be sent, or a proxy that is not supported.
        return reject(cause instanceof MatrixError ? cause : lost(cause));
      }
      const connecting = watchConnection(
        request,
        isSecure ? "secureConnect" : "connect",
        connectTimeoutMs,
      );
      const brokeOff = (cause: unknown) =>
        request.reusedSocket ? new StaleError(lost(cause)) : lost(cause);
      const abort = (): void => {
        request.destroy(signal.reason);
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      request.on("close", () => {
        signal.removeEventListener("abort", abort);
        reject(brokeOff("the connection was closed"));
      });
      request.on("upgrade", (_, socket) => {
        socket.destroy();
        reject(lost("it answered with another protocol"));
      });
      request.on("error", (error) => {
        const wasSent =
          connecting.isDone() && (error as NodeJS.ErrnoException).syscall !== "connect";
        if (error === signal.reason) reject(error);
        else reject(wasSent ? brokeOff(error) : unreachableError(label, error));
      });
      request.on("response", (message) => resolve(responseOf(message, limits)));
      if (isStreamed) void stream(request, body, reject);
      else request.end(body);
    });
  return async (url, request) => {
    try {
      return await attempt(pools.kept, url, request);
    } catch (thrown) {
      if (!(thrown instanceof StaleError)) throw thrown;
      return attempt(pools.fresh, url, request);
    }
  };
}

/** Sends the pieces of a body as the server takes them. A piece that cannot be made ends it. */
async function stream(
  request: ClientRequest,
  { pieces }: StreamedBody,
  reject: (cause: unknown) => void,
): Promise<void> {
  try {
    for await (const piece of pieces()) {
      if (request.destroyed) return;
      if (!request.write(piece)) await drained(request);
    }
    request.end();
  } catch (cause) {
    reject(cause);
    request.destroy();
  }
}

/** Resolves when the request takes more, or never will. */
function drained(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      request.off("drain", done);
      request.off("close", done);
      resolve();
    };
    request.on("drain", done);
    request.on("close", done);
  });
}

/**
 * A kept connection broke before the head of its response. Servers close idle connections, and a
 * request may be under way at that moment. It is sent once more, over a new connection.
 */
class StaleError extends Error {
  constructor(lost: MatrixError) {
    super(lost.message, { cause: lost });
  }
}

function unreachableError(label: string, cause: Error): MatrixError {
  return new MatrixError("model_unavailable", `no connection to ${label}: ${messageOf(cause)}`, {
    cause,
  });
}

function lostError(label: string, cause: unknown): MatrixError {
  return new MatrixError("model_lost", `${label} broke off its answer: ${messageOf(cause)}`, {
    cause,
  });
}

function responseOf(message: IncomingMessage, limits: Omit<BodyLimits, "reach">): HttpResponse {
  return {
    status: message.statusCode ?? 500,
    headers: message.headers,
    text: (reach = unbounded) => readText(message, { ...limits, reach }),
    events: (reach = unbounded) =>
      readEvents(message, { ...limits, bytesMax: limits.bytesMax * STREAM_FACTOR, reach }),
    discard: () => void message.resume(),
  };
}

/**
 * Ends a request that is not connected in time, and tells whether it has been connected.
 */
function watchConnection(
  request: ClientRequest,
  connected: "connect" | "secureConnect",
  timeoutMs: number,
): { isDone(): boolean } {
  let isDone = false;
  request.once("socket", (socket) => {
    // A reused socket is connected, and a new one may have connected before this event.
    isDone = request.reusedSocket || (connected === "connect" && !socket.connecting);
    if (isDone) return;
    const timer = setTimeout(
      () => request.destroy(new Error(`no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.once(connected, () => {
      isDone = true;
      clearTimeout(timer);
    });
    socket.once("close", () => clearTimeout(timer));
  });
  return { isDone: () => isDone };
}
