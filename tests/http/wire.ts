// The wire for tests: peers in this process and in others, and requests that no PeerSession would
// make.

import http2, {
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from "node:http2";
import { join } from "node:path";
import { PeerServer, type PeerServerOptions } from "../../src/http/peer-server.ts";
import { CHALLENGE, GREETING_PATH, Greeted } from "../../src/http/proof.ts";
import { type PeerService, PROTOCOL_VERSION, type Route } from "../../src/http/reception.ts";
import { PeerSession, type SessionOptions } from "../../src/http/session.ts";
import { findDeno } from "../parts/deno.ts";
import { ROOT } from "../parts/repository.ts";

export const TOKEN = "the-token-of-this-run";

const deno = findDeno();
/** The command with which each runtime starts a program; null where it is missing. */
export const RUNTIMES: Readonly<Record<string, readonly string[] | null>> = {
  Bun: [process.execPath],
  Deno:
    deno === null ? null : [deno, "run", "-A", "--no-check", "--config", join(ROOT, "deno.json")],
};

export interface Peer extends PeerServer, AsyncDisposable {
  /** Errors that routes threw, other than `wire_invalid`. */
  readonly bugs: unknown[];
}

export async function startPeer({
  routes = { echo: { bytesMax: 64 * 2 ** 20, run: (body) => body } },
  metrics = () => "tasks 1\n",
  ...options
}: Partial<PeerServerOptions & PeerService> = {}): Promise<Peer> {
  const bugs: unknown[] = [];
  const server = await PeerServer.listen({
    hostname: "127.0.0.1",
    port: 0,
    token: TOKEN,
    tls: false,
    self: "receiver",
    onBug: (thrown) => bugs.push(thrown),
    ...options,
  });
  server.start({ routes, metrics });
  return Object.assign(server, { bugs, [Symbol.asyncDispose]: () => server.stop() });
}

/** A route that never answers, and when it was first asked. */
export function hangingRoute(): { readonly route: Route; readonly asked: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = (): Promise<Uint8Array> => {
    resolve();
    return new Promise(() => undefined);
  };
  return { route: { bytesMax: 1024, run }, asked: promise };
}

export function openSession(
  url: string,
  options: Partial<SessionOptions> = {},
): PeerSession & Disposable {
  const session = new PeerSession({
    url,
    token: TOKEN,
    self: "sender",
    peer: "receiver",
    ...options,
  });
  return Object.assign(session, { [Symbol.dispose]: () => session.close() });
}

/** The bytes that a client of HTTP/2 sends first. */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** A peer in another process: fixture-server.ts. */
export async function spawnPeer({
  command = [process.execPath] as readonly string[],
  token = TOKEN,
  scheme = "http",
} = {}) {
  const child = Bun.spawn([...command, join(import.meta.dir, "fixture-server.ts"), token, scheme], {
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
  });
  const { value } = await child.stdout.getReader().read();
  const said = new Response(child.stderr).text();
  return {
    child,
    url: `${scheme}://127.0.0.1:${new TextDecoder().decode(value).trim()}`,
    /** Everything on its stderr, once it has ended. */
    said,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

let number = 0;

/** Stands for the proof of a connection, which `ask` fetches. */
const PROOF = "the proof of this connection";
const SENDER = "raw-sender";

/** The value of `authorization` for requests of a member on this connection. */
export async function proofOn(
  client: ClientHttp2Session,
  { from = SENDER, tls = false, token = TOKEN, clientPort = 0, serverPort = 0 } = {},
): Promise<string> {
  await new Promise<void>((resolve) => {
    if (!client.connecting) resolve();
    client.on("connect", () => resolve()).on("close", () => resolve());
  });
  const { localAddress = "", localPort = 0, remotePort = 0 } = client.socket ?? {};
  const greeted = new Greeted(token, {
    tls,
    clientAddress: localAddress,
    clientPort: clientPort || localPort,
    serverPort: serverPort || remotePort,
  });
  const path = { ":method": "POST", ":path": GREETING_PATH, "content-length": 0 };
  const { body } = await send(
    client,
    { ...path, "matrix-protocol": PROTOCOL_VERSION, [CHALLENGE]: greeted.challenge },
    null,
  );
  return greeted.authorization(body, from, null) ?? "no proof";
}

/** Headers of a good request, to be spoilt. */
export function goodHeaders(): OutgoingHttpHeaders {
  return {
    ":method": "POST",
    ":path": "/v1/echo",
    authorization: PROOF,
    "content-type": "application/msgpack",
    "content-length": 3,
    "matrix-protocol": PROTOCOL_VERSION,
    "matrix-from": SENDER,
    "matrix-to": "receiver",
    "matrix-request": ++number,
  };
}

export interface RawAnswer {
  /** Undefined when there was no answer. */
  readonly status: number | undefined;
  /** All of them. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** One request on its own connection. */
export async function ask(
  url: string,
  headers: OutgoingHttpHeaders,
  body: Uint8Array | null = new Uint8Array(3),
  options = {},
): Promise<RawAnswer> {
  const session = http2.connect(url, options);
  session.on("error", () => undefined);
  try {
    return await send(session, await proven(session, headers, url.startsWith("https:")), body);
  } finally {
    session.destroy();
  }
}

/** The headers with the proof of this connection, unless a test has spoilt that. */
export async function proven(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  tls = false,
): Promise<OutgoingHttpHeaders> {
  if (headers["authorization"] !== PROOF) return headers;
  const from = String(headers["matrix-from"]);
  return { ...headers, authorization: await proofOn(session, { from, tls }) };
}

function send(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Uint8Array | null,
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const stream = session.request(headers, { endStream: body === null });
    let answered: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    const chunks: Uint8Array[] = [];
    stream.on("response", (headers) => {
      answered = headers;
    });
    stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    stream.on("error", () => undefined);
    stream.on("close", () => {
      const headers = Object.fromEntries(Object.entries(answered));
      resolve({ status: answered[":status"], headers, body: Buffer.concat(chunks).toString() });
    });
    if (body !== null) stream.end(body);
  });
}
