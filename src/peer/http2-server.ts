// An HTTP/2 server around a fetch-like function, for Bun and Deno. A request is judged by its headers before a byte of its body
// is kept: the body is read only when the function asks for it, up to a limit, and what nobody asked for is thrown away.

import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";

/** Bytes on their way that nobody has read yet, per stream and per session. */
export const WINDOW_BYTES = 4 * 2 ** 20;
const STREAMS_MAX = 256;
const HEADER_BYTES_MAX = 8192;

export interface Http2ServerOptions {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
  /** PEM; null for cleartext. */
  readonly tls: { readonly key: string; readonly cert: string } | null;
  readonly fetch: (request: Request, exchange: Exchange) => Response | Promise<Response>;
}

/** What a request has beside its headers. */
export interface Exchange {
  /** "cut": the sender went away. */
  readBody(bytesMax: number): Promise<Uint8Array | "too large" | "cut">;
}

export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

export async function serveHttp2({ hostname, port, tls, fetch }: Http2ServerOptions): Promise<RunningServer> {
  const settings = { initialWindowSize: WINDOW_BYTES, maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX };
  const server: Http2Server =
    tls === null ? http2.createServer({ settings }) : (http2.createSecureServer({ settings, ...tls }) as unknown as Http2Server);
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.setLocalWindowSize(WINDOW_BYTES);
    session.on("close", () => sessions.delete(session));
    session.on("error", ignore);
  });
  server.on("stream", (stream, headers) => void answer(stream, headers, fetch));
  for (const event of ["sessionError", "clientError", "tlsClientError"]) server.on(event, ignore);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, resolve);
  });
  server.on("error", ignore);
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
}

async function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, fetch: Http2ServerOptions["fetch"]): Promise<void> {
  stream.on("error", ignore);
  const response = await fetch(requestOf(headers), { readBody: (bytesMax) => readBody(stream, bytesMax) });
  const body = new Uint8Array(await response.arrayBuffer());
  if (stream.destroyed) return;
  const type = response.headers.get("content-type");
  stream.respond({ ":status": response.status, ...(type === null ? {} : { "content-type": type }) }, { sendDate: false } as object);
  stream.end(body);
  // What is left of the body is thrown away: a reset would have the other side miss the answer.
  stream.resume();
}

function requestOf(headers: IncomingHttpHeaders): Request {
  const fields = Object.entries(headers).filter(([name, value]) => !name.startsWith(":") && typeof value === "string");
  return new Request(`http://peer${headers[":path"]}`, { method: String(headers[":method"]), headers: fields as [string, string][] });
}

function readBody(stream: ServerHttp2Stream, bytesMax: number): Promise<Uint8Array | "too large" | "cut"> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    const take = (chunk: Uint8Array): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= bytesMax) return;
      stream.off("data", take);
      chunks.length = 0;
      resolve("too large");
    };
    stream.on("data", take);
    stream.once("end", () => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)));
    stream.once("close", () => resolve("cut"));
  });
}

function ignore(): void {
  // A broken connection is the other side's affair; whoever waits for it learns from its own stream.
}
