// HTTP to one address of an endpoint, and the only file that sees errors of the network: it turns
// them into MatrixErrors. It does not use fetch: Bun's fetch has at most 256 requests under way in
// a process, and cannot tell a server that does not accept connections from one that is thinking.
// node:http can do both, on Bun and on Deno.

import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as SecureAgent } from "node:https";
import { isIPv6, type LookupFunction } from "node:net";
import { createParser } from "eventsource-parser";
import { MatrixError, messageOf } from "../../error.ts";

/** Limit for the body of one answer. Streamed answers repeat much of their frame. */
const BODY_BYTES_MAX = 256 * 2 ** 20;

export interface ConnectionOptions {
  /** Names the endpoint in errors. */
  readonly label: string;
  /**
   * Connects to this address; TLS and the Host header keep the name of the URL. Null: wherever the
   * name leads.
   */
  readonly ip: string | null;
  readonly connectTimeoutMs: number;
  readonly bodyBytesMax?: number;
}

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** A response whose head has arrived. Its body is read once, as text or as events, or discarded. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /**
   * Fails with `model_lost` when the body breaks off, and with `model_bad_answer` when it is too
   * large.
   */
  text(): Promise<string>;
  /** The data of server-sent events, until "[DONE]" or the end. Fails as `text` does. */
  events(): AsyncGenerator<string>;
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
}: ConnectionOptions): Send {
  // A server that took ten thousand requests at once will take them again, so no socket is closed
  // for being idle.
  const pool = {
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    maxFreeSockets: Number.POSITIVE_INFINITY,
    proxyEnv: process.env,
  };
  const [plain, secure] = [new Agent(pool), new SecureAgent(pool)];
  const lookup = ip === null ? {} : { lookup: lookupOf(ip) };
  const lost = (cause: unknown) => lostError(label, cause);
  const limits = { bytesMax: bodyBytesMax, lost };
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const isSecure = url.protocol === "https:";
      const options = { method, headers, agent: isSecure ? secure : plain, ...lookup };
      let request: ClientRequest;
      try {
        request = (isSecure ? httpsRequest : httpRequest)(url, options);
      } catch (cause) {
        // A header that cannot be sent.
        return reject(lost(cause));
      }
      const connecting = watchConnection(
        request,
        isSecure ? "secureConnect" : "connect",
        connectTimeoutMs,
      );
      const abort = (): void => {
        request.destroy(signal.reason);
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      request.on("close", () => {
        signal.removeEventListener("abort", abort);
        reject(lost("the connection was closed"));
      });
      request.on("upgrade", (_, socket) => {
        socket.destroy();
        reject(lost("it answered with another protocol"));
      });
      request.on("error", (error) => {
        const wasSent =
          connecting.isDone() && (error as NodeJS.ErrnoException).syscall !== "connect";
        if (error === signal.reason) reject(error);
        else reject(wasSent ? lost(error) : unreachableError(label, error));
      });
      request.on("response", (message) => resolve(responseOf(message, limits)));
      request.end(body);
    });
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

/** Fails when the body is too large or breaks off. */
interface BodyLimits {
  readonly bytesMax: number;
  readonly lost: (cause: unknown) => MatrixError;
}

function responseOf(message: IncomingMessage, limits: BodyLimits): HttpResponse {
  return {
    status: message.statusCode ?? 500,
    headers: message.headers,
    text: () => readText(message, limits),
    events: () => readEvents(message, limits),
    discard: () => void message.resume(),
  };
}

function readText(message: IncomingMessage, { bytesMax, lost }: BodyLimits): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    const isTooLarge = countBytes(message, bytesMax);
    message.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk);
      if (isTooLarge(chunk)) reject(tooLargeError(bytesMax));
    });
    message.on("end", () => resolve(Buffer.concat(chunks).toString()));
    message.on("error", (error) => reject(lost(error)));
    message.on("close", () => reject(lost("the connection was closed")));
  });
}

async function* readEvents(
  message: IncomingMessage,
  { bytesMax, lost }: BodyLimits,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let events: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => void events.push(data) });
  const isTooLarge = countBytes(message, bytesMax);
  let isDone = false;
  try {
    for await (const chunk of message.iterator({ destroyOnReturn: false })) {
      if (isTooLarge(chunk)) throw tooLargeError(bytesMax);
      parser.feed(decoder.decode(chunk, { stream: true }));
      const end = events.indexOf("[DONE]");
      isDone = end !== -1;
      yield* isDone ? events.slice(0, end) : events;
      if (isDone) break;
      events = [];
    }
  } catch (thrown) {
    throw thrown instanceof MatrixError ? thrown : lost(thrown);
  }
  // The rest is read to its end, so that the connection can be used again. The iterator must have
  // released the message before that.
  if (isDone) message.resume();
}

/** Counts the bytes of a body. When they are too many, it ends the connection and returns true. */
function countBytes(message: IncomingMessage, bytesMax: number): (chunk: Uint8Array) => boolean {
  let bytes = 0;
  return (chunk) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) return false;
    message.destroy();
    return true;
  };
}

function tooLargeError(bytesMax: number): MatrixError {
  return new MatrixError("model_bad_answer", `the answer is larger than ${bytesMax / 2 ** 20} MiB`);
}

function lookupOf(ip: string): LookupFunction {
  const family = isIPv6(ip) ? 6 : 4;
  return (_, { all }, found) =>
    all === true ? found(null, [{ address: ip, family }]) : found(null, ip, family);
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
