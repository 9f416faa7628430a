// The session to one peer: HTTP/2, opened by the first request, and again by the first request
// after it broke. Every request ends within its time, with the whole answer or with a `peer_failed`
// that says whether the peer may have acted on it.

import type { Socket } from "node:net";
import { MatrixError, messageOf } from "../error.ts";
import { hyper } from "../platform.ts";
import type { Call, Connection } from "./connection.ts";
import { openHttp2 } from "./http2-connection.ts";
import { openHyper } from "./hyper-connection.ts";
import type { Identity } from "./identity.ts";
import { CHALLENGE, GREETING_PATH, Greeted, serverOf } from "./proof.ts";
import { CONTENT_TYPE, PROTOCOL_VERSION, REFUSALS } from "./reception.ts";
import { openSocket } from "./socket.ts";

const CONNECT_TIMEOUT_MS = 5000;
const GREETING_BYTES_MAX = 512;

export interface SessionOptions {
  /** http:// for cleartext, https:// for TLS. */
  readonly url: string;
  readonly token: string;
  readonly self: string;
  /** Proves that this process may use the id `self`; null for an id without a fingerprint. */
  readonly identity?: Identity | null;
  /** "" for any process at that address. */
  readonly peer: string;
  readonly connectTimeoutMs?: number;
}

export interface RequestOptions {
  /** Time limit for connecting, sending and waiting together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * True when a request can be sent again without harm, because its peer has certainly not acted on
 * it. An answer that cannot be read proves that it may have acted.
 */
export function canRepeat(thrown: unknown): boolean {
  return thrown instanceof MatrixError && thrown.code === "peer_failed" && !thrown.maybeActed;
}

/**
 * The last number that a request was given. All sessions of a process share the sequence, so two
 * sessions to one peer never use a number twice. Like a clock, it goes on when a process restarts.
 */
let lastRequest = Date.now() * 64;

/** A connection whose server has proved that it belongs to the run. */
interface Proved {
  readonly connection: Connection;
  readonly authorization: string;
}

export class PeerSession {
  readonly #options: SessionOptions;
  #opening: Promise<Proved> | null = null;
  #connection: Connection | null = null;
  /**
   * The socket under the connection. The session destroys it, because a GOAWAY has crashed peers.
   */
  #socket: Socket | null = null;
  #isClosed = false;
  #localAddress: string | null = null;
  #peerId: string | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** This side's address of the last connection; null before the first one. */
  get localAddress(): string | null {
    return this.#localAddress;
  }

  /** The id that the server of the last connection gave; null before the first one. */
  get peerId(): string | null {
    return this.#peerId;
  }

  async request(
    route: string,
    body: Uint8Array,
    { timeoutMs, signal }: RequestOptions,
  ): Promise<Uint8Array> {
    const limit = new Limit("no answer", timeoutMs, signal);
    let call: Call | null = null;
    try {
      if (this.#isClosed) throw new MatrixError("peer_failed", "the session was closed");
      const { connection, authorization } = await limit.race(this.#connect());
      call = connection.request(`/v1/${route}`, this.#headers(authorization), body);
      const reply = await limit.race(call.reply);
      if (reply === "refused") throw new MatrixError("peer_failed", "the peer refused the request");
      const { status } = reply;
      if (status !== 200)
        throw new MatrixError("peer_failed", `the peer answered with status ${status}`, {
          status,
          maybeActed: status !== REFUSALS.starting && (status < 400 || status >= 500),
        });
      return reply.body;
    } catch (cause) {
      call?.cancel();
      // Other requests on a connection that does not answer are better off on a new one.
      if (call !== null && limit.isTimedOut) this.#socket?.destroy();
      const known = cause instanceof MatrixError && cause.code === "peer_failed" ? cause : null;
      throw new MatrixError(
        "peer_failed",
        `${route} to ${this.#options.url}: ${messageOf(cause)}`,
        {
          status: known?.status ?? null,
          maybeActed: known?.maybeActed ?? call !== null,
          cause,
        },
      );
    } finally {
      limit.clear();
    }
  }

  /** Ends the session; it does not connect again. */
  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
  }

  #headers(authorization: string): Record<string, string> {
    const { self, peer } = this.#options;
    return {
      authorization,
      "content-type": CONTENT_TYPE,
      "matrix-protocol": PROTOCOL_VERSION,
      "matrix-from": self,
      "matrix-to": peer,
      "matrix-request": String(++lastRequest),
    };
  }

  #connect(): Promise<Proved> {
    if (this.#opening !== null && this.#connection?.isOpen !== false) return this.#opening;
    this.#connection = null;
    const opening = this.#open();
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = null;
    });
    return opening;
  }

  async #open(): Promise<Proved> {
    const { url, token, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options;
    const socket = await openSocket(url, token);
    const limit = new Limit("no connection", connectTimeoutMs, undefined);
    this.#socket = socket;
    try {
      if (this.#isClosed) throw new Error("the session was closed");
      const connection = await limit.race(
        hyper === null ? openHttp2(url, socket) : openHyper(hyper, socket),
      );
      this.#localAddress = socket.localAddress ?? null;
      const authorization = await limit.race(this.#greet(connection, socket));
      this.#connection = connection;
      return { connection, authorization };
    } catch (cause) {
      socket.destroy();
      if (hasOtherToken(cause)) throw anotherToken(cause);
      if (cause instanceof MatrixError) throw cause;
      throw new MatrixError("peer_failed", `cannot connect: ${messageOf(cause)}`, { cause });
    } finally {
      limit.clear();
    }
  }

  /** Sends nothing but a challenge until the server has proved that it knows the token. */
  async #greet(connection: Connection, socket: Socket): Promise<string> {
    const { token, self, identity = null, url, peer } = this.#options;
    const greeted = new Greeted(token, {
      tls: new URL(url).protocol === "https:",
      clientAddress: socket.localAddress ?? "",
      clientPort: socket.localPort ?? 0,
      serverPort: socket.remotePort ?? 0,
    });
    const headers = { [CHALLENGE]: greeted.challenge, "matrix-protocol": PROTOCOL_VERSION };
    const reply = await connection.request(GREETING_PATH, headers, new Uint8Array(0)).reply;
    if (reply === "refused") throw new Error("the peer refused the greeting");
    const { status } = reply;
    if (status !== 200)
      throw new MatrixError("peer_failed", `cannot connect: the peer answered with ${status}`, {
        status,
      });
    const greeting = new TextDecoder().decode(reply.body.subarray(0, GREETING_BYTES_MAX));
    const authorization = greeted.authorization(greeting, self, identity);
    if (authorization === null) throw anotherToken();
    // Another member could pass the greeting on, and speak as this process.
    if (peer !== "" && serverOf(greeting) !== peer)
      throw new MatrixError("peer_failed", `cannot connect: ${serverOf(greeting)} answers there`, {
        status: REFUSALS.addressee,
      });
    this.#peerId = serverOf(greeting);
    return authorization;
  }
}

function anotherToken(cause?: unknown): MatrixError {
  const message = "cannot connect: the peer has another token";
  return new MatrixError("peer_failed", message, { status: REFUSALS.stranger, cause });
}

/**
 * Tells whether the certificate of the peer bears the name of our authority and not its signature:
 * the peer derives the authority from another token. Bun and Deno word it differently.
 */
function hasOtherToken(cause: unknown): boolean {
  const { code } = cause as { code?: unknown };
  return code === "CERT_SIGNATURE_FAILURE" || /\bBadSignature\b/.test(messageOf(cause));
}

/** A limit for a wait: its time, or a signal of its caller. */
class Limit {
  readonly #passed = Promise.withResolvers<never>();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #signal: AbortSignal | undefined;
  isTimedOut = false;

  /** `missing` says what did not come when the time has passed. */
  constructor(missing: string, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#passed.promise.catch(() => undefined); // it may pass before it is waited for
    this.#timer = setTimeout(() => {
      this.isTimedOut = true;
      this.#passed.reject(new Error(`${missing} within ${timeoutMs} ms`));
    }, timeoutMs);
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort);
  }

  race<T>(outcome: Promise<T>): Promise<T> {
    return Promise.race([outcome, this.#passed.promise]);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => this.#passed.reject(this.#signal?.reason);
}
