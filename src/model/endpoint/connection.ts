// HTTP to one address of an endpoint. Not fetch: Bun's has at most 256 requests under way in a process, and takes a server that
// does not accept for one that thinks. node:http has neither trait, on Bun and on Deno.

import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as SecureAgent } from "node:https";
import { isIPv6, type LookupFunction } from "node:net";
import { createParser } from "eventsource-parser";
import { MatrixError, messageOf } from "../../error.ts";

/** Of one answer; streamed ones repeat much. */
const BODY_BYTES_MAX = 256 * 2 ** 20;

export interface ConnectionOptions {
  /** Where the URL's name is looked for; TLS and Host keep the name. Null: wherever the name leads. */
  readonly ip: string | null;
  readonly connectTimeoutMs: number;
}

export interface Sent {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Nothing was sent: no connection came about. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** Answers when the head of the response is there. Fails with Unreachable, the signal's reason, or what broke the connection. */
export type Send = (url: URL, sent: Sent) => Promise<IncomingMessage>;

/** Connections are kept open and used again; proxies that the environment names are respected. */
export function createConnection({ ip, connectTimeoutMs }: ConnectionOptions): Send {
  // Sockets of a server that had ten thousand requests are worth keeping.
  const pool = {
    keepAlive: true,
    maxSockets: Number.POSITIVE_INFINITY,
    maxFreeSockets: Number.POSITIVE_INFINITY,
    proxyEnv: process.env,
  };
  const [plain, secure] = [new Agent(pool), new SecureAgent(pool)];
  const lookup = ip === null ? {} : { lookup: leadTo(ip) };
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const isSecure = url.protocol === "https:";
      const options = { method, headers, agent: isSecure ? secure : plain, ...lookup };
      const request = (isSecure ? httpsRequest : httpRequest)(url, options);
      const isConnected = watchConnection(
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
        reject(new Error("the connection was closed"));
      });
      request.on("upgrade", (_, socket) => {
        socket.destroy();
        reject(new Error("it answered with another protocol"));
      });
      request.on("error", (error) => {
        const isOurs = error === signal.reason || error instanceof Unreachable;
        const wasSent = isConnected() && (error as NodeJS.ErrnoException).syscall !== "connect";
        reject(isOurs || wasSent ? error : new Unreachable(messageOf(error), { cause: error }));
      });
      request.on("response", resolve);
      request.end(body);
    });
}

/** Fails when it breaks off or is too large. */
export function readText(message: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    const count = countBytes(message);
    message.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk);
      const error = count(chunk);
      if (error !== null) reject(error);
    });
    message.on("end", () => resolve(Buffer.concat(chunks).toString()));
    message.on("error", reject);
    message.on("close", () => reject(new Error("the connection was closed")));
  });
}

/** The data of server-sent events, until "[DONE]" or the end. Fails when it breaks off or is too large. */
export async function* readEvents(message: IncomingMessage): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let events: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => void events.push(data) });
  const count = countBytes(message);
  for await (const chunk of message.iterator({ destroyOnReturn: false })) {
    const error = count(chunk);
    if (error !== null) throw error;
    parser.feed(decoder.decode(chunk, { stream: true }));
    for (const event of events) {
      if (event !== "[DONE]") {
        yield event;
        continue;
      }
      // To its end, so that the connection can be used again.
      message.resume();
      return;
    }
    events = [];
  }
}

/** Counts what comes; ends it, with the error that says so, when it is too much. */
function countBytes(message: IncomingMessage): (chunk: Uint8Array) => MatrixError | null {
  let bytes = 0;
  return (chunk) => {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) return null;
    message.destroy();
    return new MatrixError(
      "model_bad_answer",
      `the answer is larger than ${BODY_BYTES_MAX / 2 ** 20} MiB`,
    );
  };
}

function leadTo(ip: string): LookupFunction {
  const family = isIPv6(ip) ? 6 : 4;
  return (_, { all }, found) =>
    all === true ? found(null, [{ address: ip, family }]) : found(null, ip, family);
}

/** Ends a request whose connection does not come about in time. Answers whether it did. */
function watchConnection(
  request: ClientRequest,
  connected: "connect" | "secureConnect",
  timeoutMs: number,
): () => boolean {
  let isConnected = false;
  request.once("socket", (socket) => {
    // One that is used again, or was quicker than this event.
    isConnected = request.reusedSocket || (connected === "connect" && !socket.connecting);
    if (isConnected) return;
    const timer = setTimeout(
      () => request.destroy(new Unreachable(`no connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.once(connected, () => {
      isConnected = true;
      clearTimeout(timer);
    });
    socket.once("close", () => clearTimeout(timer));
  });
  return () => isConnected;
}
