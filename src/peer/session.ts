// What a host has open to one peer: an HTTP/2 session, opened by the first request and again by the first one after it broke.
// Every request ends within its time, with the answer or with a PeerError that says whether the peer may have acted on it.

import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { joined } from "./exchange.ts";
import { SESSION_MEGABYTES_MAX, WINDOW_BYTES } from "./http2-server.ts";
import type { HostId } from "./routing.ts";
import { CONTENT_TYPE, PROTOCOL_VERSION } from "./server.ts";

const CONNECT_TIMEOUT_MS = 5000;
const ANSWER_BYTES_MAX = 64 * 2 ** 20;

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
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export class PeerError extends Error {
  override readonly name = "PeerError";
  /** The peer may have acted on the request. */
  readonly maybe: boolean;
  /** Of the answer; null when there was none. */
  readonly status: number | null;

  constructor(message: string, { maybe, status = null, cause }: { maybe: boolean; status?: number | null; cause?: unknown }) {
    super(message, cause === undefined ? undefined : { cause });
    this.maybe = maybe;
    this.status = status;
  }
}

/** Requests of this process are numbered in one sequence, so that several sessions to a peer never use a number twice. */
let lastRequest = Date.now() * 64;

export class PeerSession {
  readonly #options: SessionOptions;
  #opening: Promise<ClientHttp2Session> | null = null;
  #open: ClientHttp2Session | null = null;
  #localAddress: string | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Of the socket, once there was one. */
  get localAddress(): string | null {
    return this.#localAddress;
  }

  async request(route: string, body: Uint8Array, { timeoutMs, signal }: RequestOptions): Promise<Uint8Array> {
    const deadline = performance.now() + timeoutMs;
    const session = await this.#connect(timeoutMs);
    return this.#exchange(session, route, body, deadline - performance.now(), signal);
  }

  close(): void {
    this.#open?.destroy();
    this.#open = null;
    this.#opening = null;
  }

  #connect(timeoutMs: number): Promise<ClientHttp2Session> {
    if (this.#opening !== null) return this.#opening;
    const opening = this.#dial(Math.min(timeoutMs, this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS));
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = null;
    });
    return opening;
  }

  #dial(timeoutMs: number): Promise<ClientHttp2Session> {
    const { url } = this.#options;
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => reject(new PeerError(`cannot reach ${url}`, { maybe: false, cause }));
      const settings = { initialWindowSize: WINDOW_BYTES, enablePush: false };
      const session = http2.connect(url, { settings, maxSessionMemory: SESSION_MEGABYTES_MAX });
      const timer = setTimeout(() => {
        fail(new Error(`no connection within ${timeoutMs} ms`));
        session.destroy();
      }, timeoutMs);
      const forget = (): void => {
        clearTimeout(timer);
        if (this.#open !== session) return;
        this.#open = null;
        this.#opening = null;
      };
      session.on("error", fail);
      session.on("goaway", forget);
      session.on("close", () => {
        forget();
        fail(new Error("closed"));
      });
      session.on("connect", () => {
        clearTimeout(timer);
        session.setLocalWindowSize(WINDOW_BYTES);
        this.#localAddress = session.socket.localAddress ?? null;
        this.#open = session;
        resolve(session);
      });
    });
  }

  async #exchange(
    session: ClientHttp2Session,
    route: string,
    body: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const { token, self, peer, url } = this.#options;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request({
        ":method": "POST",
        ":path": `/v1/${route}`,
        authorization: `Bearer ${token}`,
        "content-type": CONTENT_TYPE,
        "content-length": body.length,
        "matrix-protocol": PROTOCOL_VERSION,
        "matrix-from": self,
        "matrix-to": peer,
        "matrix-request": String(++lastRequest),
      });
    } catch (cause) {
      throw new PeerError(`lost ${url}`, { maybe: false, cause });
    }
    return new Promise((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      let received = 0;
      let announced: number | null = null;
      let cause: unknown;
      const fail = (message: string, maybe: boolean, status: number | null = null) => {
        clearTimeout(timer);
        reject(new PeerError(`${route} to ${url}: ${message}`, { maybe, status, cause }));
      };
      const timer = setTimeout(() => {
        fail(`no answer within ${Math.round(timeoutMs)} ms`, true);
        session.destroy();
      }, timeoutMs);
      signal?.addEventListener("abort", () => {
        cause = signal.reason;
        fail("given up", true);
        stream.close(http2.constants.NGHTTP2_CANCEL);
      });
      stream.on("response", ({ ":status": status = 0, "content-length": length }) => {
        announced = Number(length);
        if (status === 200 && announced <= ANSWER_BYTES_MAX) return;
        fail(status === 200 ? "the answer is too large" : `refused with status ${status}`, status < 400 || status >= 500, status);
        stream.close(http2.constants.NGHTTP2_CANCEL);
      });
      stream.on("data", (chunk: Uint8Array) => {
        received += chunk.length;
        chunks.push(chunk);
      });
      stream.on("end", () => {
        // Both runtimes say "end" when a connection breaks, too, and Deno gives data before it gives the status.
        if (received !== announced) return;
        clearTimeout(timer);
        resolve(joined(chunks));
      });
      stream.on("error", (error) => {
        cause = error;
      });
      stream.on("close", () => fail("the connection broke", stream.rstCode !== http2.constants.NGHTTP2_REFUSED_STREAM));
      stream.end(body);
    });
  }
}
