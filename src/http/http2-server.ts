// The server of a peer on node:http2, for a network with strangers in it. A request is judged by
// its headers before a byte of its body is kept. A connection is a stranger until a member's
// request came on it; strangers are limited in number and in time.

import http2, { type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Exchange } from "./exchange.ts";
import { Http2Exchange } from "./http2-exchange.ts";

/** Bytes on their way that were not read yet: of one stream, and of all streams of a session. */
export const WINDOW_BYTES = 4 * 2 ** 20;
/** Memory of a session. With less, Bun and Node.js open no stream while large bodies wait. */
export const SESSION_MEGABYTES_MAX = 1024;
const STREAMS_MAX = 256;
const HEADER_BYTES_MAX = 8192;
const STRANGERS_MAX = 256;
const STRANGER_TIMEOUT_MS = 10_000;
/** A member is known at its second request, after the greeting; a session opens only then. */
const STRANGER_FRAMES_MAX = 8;
/** After this silence the kernel probes a member, whose machine may be gone. */
const KEEP_ALIVE_MS = 30_000;

export interface Http2ServerOptions {
  readonly hostname: string;
  /** 0 for a free one. */
  readonly port: number;
  /** PEM; null for cleartext. */
  readonly tls: { readonly key: string; readonly cert: string } | null;
  /** Milliseconds that a connection may stay without one request of a member. */
  readonly strangerTimeoutMs?: number;
  readonly handle: (exchange: Exchange) => void;
}

export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

export async function serveHttp2(options: Http2ServerOptions): Promise<RunningServer> {
  const { hostname, port, tls, strangerTimeoutMs = STRANGER_TIMEOUT_MS, handle } = options;
  const server = createServer(tls, strangerTimeoutMs);
  const sockets = new Set<Socket>();
  const strangers = new Strangers(strangerTimeoutMs);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    strangers.add(endpointOf(socket), socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", ignore);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  });
  server.on("session", (session) => {
    const { remoteAddress = "", remotePort = 0 } = session.socket;
    const endpoint = endpointOf(session.socket);
    const connection = {
      tls: tls !== null,
      clientAddress: remoteAddress,
      clientPort: remotePort,
      serverPort: (server.address() as AddressInfo).port,
    };
    const count = (): boolean => {
      const isTooMuch = !strangers.mayGoOn(endpoint);
      if (isTooMuch) session.destroy();
      return !isTooMuch;
    };
    session.on("ping", count).on("remoteSettings", count);
    session.on("stream", (stream, headers) => {
      if (!count()) return;
      const enter = () => admit(session, endpoint, strangers);
      handle(new Http2Exchange(stream, headers, connection, enter));
    });
  });
  await listen(server, port, hostname);
  const stop = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { port: (server.address() as AddressInfo).port, stop };
}

function createServer(tls: Http2ServerOptions["tls"], handshakeTimeout: number): Http2Server {
  const options = {
    settings: {
      initialWindowSize: WINDOW_BYTES,
      maxConcurrentStreams: STREAMS_MAX,
      maxHeaderListSize: HEADER_BYTES_MAX,
    },
    maxSessionMemory: SESSION_MEGABYTES_MAX,
  };
  if (tls === null) return http2.createServer(options);
  const server = http2.createSecureServer({
    ...options,
    key: tls.key,
    cert: tls.cert,
    minVersion: "TLSv1.3",
    handshakeTimeout,
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.on("unknownProtocol", (socket) => socket.destroy());
  // The two servers do not differ in anything that is used here.
  return server as unknown as Http2Server;
}

async function listen(server: Http2Server, port: number, hostname: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, resolve);
  });
  server.on("error", ignore);
}

/** Widens the window of a connection once a member has used it; HTTP/2's default is small. */
function admit(session: ServerHttp2Session, endpoint: string, strangers: Strangers): void {
  if (strangers.remove(endpoint) && !session.destroyed) session.setLocalWindowSize(WINDOW_BYTES);
}

/**
 * Connections that have not brought a member's request yet. When there are too many, a new one
 * displaces the oldest, so strangers cannot lock members out.
 */
class Strangers {
  readonly #timeoutMs: number;
  readonly #waiting = new Map<
    string,
    { readonly socket: Socket; readonly timer: ReturnType<typeof setTimeout>; frames: number }
  >();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  add(endpoint: string, socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), this.#timeoutMs);
    this.#waiting.set(endpoint, { socket, timer, frames: 0 });
    socket.on("close", () => this.remove(endpoint));
    if (this.#waiting.size > STRANGERS_MAX) this.#displaceOldest();
  }

  /** Counts a request, a ping or settings. False for one too many of a stranger. */
  mayGoOn(endpoint: string): boolean {
    const stranger = this.#waiting.get(endpoint);
    return stranger === undefined || ++stranger.frames <= STRANGER_FRAMES_MAX;
  }

  /** Returns false when the connection was not a stranger's. */
  remove(endpoint: string): boolean {
    clearTimeout(this.#waiting.get(endpoint)?.timer);
    return this.#waiting.delete(endpoint);
  }

  #displaceOldest(): void {
    for (const [endpoint, { socket }] of this.#waiting) {
      this.remove(endpoint);
      socket.destroy();
      return;
    }
  }
}

/** A name for a connection: its socket and its session share no object. */
function endpointOf({
  remoteAddress,
  remotePort,
}: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return `${remoteAddress}/${remotePort}`;
}

function ignore(): void {
  // A broken connection is the other side's affair; streams that wait on it fail by themselves.
}
