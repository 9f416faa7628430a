// What a host has open to one peer: an HTTP/2 session, opened by the first request and again by the first one after it broke.
// Every request ends within its time, with the whole answer or with a PeerError that says whether the peer may have acted on it.

import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from "node:http2";
import net, { type Socket } from "node:net";
import tls, { type ConnectionOptions } from "node:tls";
import { messageOf } from "../error.ts";
import { joined } from "./exchange.ts";
import { SESSION_MEGABYTES_MAX, WINDOW_BYTES } from "./http2-server.ts";
import type { HostId } from "./routing.ts";
import { CONTENT_TYPE, PROTOCOL_VERSION } from "./server.ts";

const CONNECT_TIMEOUT_MS = 5000;
const ANSWER_BYTES_MAX = 64 * 2 ** 20;
const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = http2.constants;

export interface SessionOptions {
  /** http:// for cleartext, https:// for TLS. */
  readonly url: string;
  readonly token: string;
  readonly self: HostId;
  /** "" for whoever is there. */
  readonly peer: HostId | "";
  readonly connectTimeoutMs?: number;
}

export interface RequestOptions {
  /** Of everything: connecting, sending, waiting. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

interface Failure {
  readonly maybe: boolean;
  readonly status?: number | null;
  readonly cause?: unknown;
}

export class PeerError extends Error {
  override readonly name = "PeerError";
  /** The peer may have acted on the request. */
  readonly maybe: boolean;
  /** Of the answer; null when there was none. */
  readonly status: number | null;

  constructor(message: string, { maybe, status = null, cause }: Failure) {
    super(message, { cause });
    this.maybe = maybe;
    this.status = status;
  }
}

/** One sequence for the process: two sessions to the same peer never use a number twice. */
let lastRequest = Date.now() * 64;

export class PeerSession {
  readonly #options: SessionOptions;
  #opening: Promise<ClientHttp2Session> | null = null;
  #session: ClientHttp2Session | null = null;
  /** Under the session. Sessions end by it: a GOAWAY crashes a peer on Deno 2.9 (denoland/deno#36788). */
  #socket: Socket | null = null;
  #isClosed = false;
  #localAddress: string | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Of the socket, once there was one. */
  get localAddress(): string | null {
    return this.#localAddress;
  }

  async request(route: string, body: Uint8Array, { timeoutMs, signal }: RequestOptions): Promise<Uint8Array> {
    const limit = new Limit(timeoutMs, signal);
    let stream: ClientHttp2Stream | null = null;
    try {
      const session = await limit.race(this.#connect());
      stream = session.request(this.#headers(route, body));
      const answer = answerOf(stream);
      stream.end(body);
      return await limit.race(answer);
    } catch (cause) {
      stream?.close(NGHTTP2_CANCEL);
      // Whatever else waits on a session that does not answer is better off on a new one.
      if (stream !== null && limit.isTimedOut) this.#socket?.destroy();
      const { maybe, status } = cause instanceof PeerError ? cause : { maybe: stream !== null, status: null };
      throw new PeerError(`${route} to ${this.#options.url}: ${messageOf(cause)}`, { maybe, status, cause });
    } finally {
      limit.clear();
    }
  }

  /** For good. */
  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
  }

  #headers(route: string, body: Uint8Array): OutgoingHttpHeaders {
    const { token, self, peer } = this.#options;
    return {
      ":method": "POST",
      ":path": `/v1/${route}`,
      authorization: `Bearer ${token}`,
      "content-type": CONTENT_TYPE,
      "content-length": body.length,
      "matrix-protocol": PROTOCOL_VERSION,
      "matrix-from": self,
      "matrix-to": peer,
      "matrix-request": ++lastRequest,
    };
  }

  #connect(): Promise<ClientHttp2Session> {
    if (this.#opening !== null && this.#session?.closed !== true && this.#session?.destroyed !== true) return this.#opening;
    this.#session = null;
    const opening = this.#open();
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = null;
    });
    return opening;
  }

  async #open(): Promise<ClientHttp2Session> {
    const { url, token, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options;
    const trust = url.startsWith("https:") ? await trustOf(token) : null;
    if (this.#isClosed) throw new PeerError("the session was closed", { maybe: false });
    const socket = trust === null ? connectTcp(url) : connectTls(url, trust);
    this.#socket = socket;
    const settings = { initialWindowSize: WINDOW_BYTES, enablePush: false };
    const session = http2.connect(url, { settings, maxSessionMemory: SESSION_MEGABYTES_MAX, createConnection: () => socket });
    this.#session = session;
    await connected(session, socket, connectTimeoutMs);
    session.setLocalWindowSize(WINDOW_BYTES);
    this.#localAddress = session.socket.localAddress ?? null;
    return session;
  }
}

function connectTcp(url: string): Socket {
  const { hostname, port } = new URL(url);
  return net.connect({ host: bare(hostname), port: Number(port), noDelay: true });
}

function connectTls(url: string, trust: ConnectionOptions): Socket {
  const { hostname, port } = new URL(url);
  return tls.connect({ host: bare(hostname), port: Number(port), ALPNProtocols: ["h2"], ...trust });
}

/** URLs put brackets around IPv6 addresses. */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}

async function trustOf(token: string): Promise<ConnectionOptions> {
  const { tlsIdentity, TLS_NAME } = await import("./tls.ts");
  const { ca } = await tlsIdentity(token);
  return { ca, servername: TLS_NAME, minVersion: "TLSv1.3" };
}

function connected(session: ClientHttp2Session, socket: Socket, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown): void => {
      clearTimeout(timer);
      reject(new PeerError(`cannot connect: ${reason}`, { maybe: false, cause }));
    };
    const timer = setTimeout(() => {
      fail(`no connection within ${timeoutMs} ms`);
      socket.destroy();
    }, timeoutMs);
    session.on("connect", () => {
      clearTimeout(timer);
      resolve();
    });
    // Later errors reach whoever waits by the streams.
    session.on("error", (error) => fail(error.message, error));
    session.on("close", () => fail("the peer hung up"));
  });
}

/** The whole answer of a request. */
function answerOf(stream: ClientHttp2Stream): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let received = 0;
    let announced: number | null = null;
    let cause: unknown;
    stream.on("response", ({ ":status": status = 0, "content-length": length }) => {
      announced = Number(length);
      if (status !== 200) reject(new PeerError(`refused with status ${status}`, { maybe: status < 400 || status >= 500, status }));
    });
    stream.on("data", (chunk: Uint8Array) => {
      received += chunk.length;
      if (received > ANSWER_BYTES_MAX) reject(new PeerError(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`, { maybe: true }));
      else chunks.push(chunk);
    });
    stream.on("end", () => {
      // Both runtimes say "end" when a connection breaks, too. (And Deno gives data before it gives the status.)
      if (received === announced) resolve(joined(chunks));
    });
    stream.on("error", (error) => {
      cause = error;
    });
    stream.on("close", () => reject(new PeerError("the connection broke", { maybe: stream.rstCode !== NGHTTP2_REFUSED_STREAM, cause })));
  });
}

/** When a request has to be over: after its time, or when its caller says so. */
class Limit {
  readonly #passed = Promise.withResolvers<never>();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #signal: AbortSignal | undefined;
  isTimedOut = false;

  constructor(timeoutMs: number, signal: AbortSignal | undefined) {
    this.#passed.promise.catch(() => undefined); // nobody may be waiting
    this.#timer = setTimeout(() => {
      this.isTimedOut = true;
      this.#passed.reject(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort);
  }

  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#passed.promise]);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => this.#passed.reject(this.#signal?.reason);
}
