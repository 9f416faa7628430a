// A connection to a peer by node:http2.

import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { ANSWER_BYTES_MAX, type Call, type Connection, type Reply } from "./connection.ts";
import { joined } from "./exchange.ts";
import { SESSION_MEGABYTES_MAX, WINDOW_BYTES } from "./http2-server.ts";

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = http2.constants;

/** Opens a connection on a socket that may still be connecting. The connection ends with it. */
export async function openHttp2(url: string, socket: Socket): Promise<Connection> {
  const settings = { initialWindowSize: WINDOW_BYTES, enablePush: false };
  const session = http2.connect(url, {
    settings,
    maxSessionMemory: SESSION_MEGABYTES_MAX,
    createConnection: () => socket,
  });
  await new Promise<void>((resolve, reject) => {
    // A server that accepts connections may still not be a peer, and Bun respects a peer's limits
    // only after it has received them.
    session.on("remoteSettings", () => resolve());
    // Later errors are passed to the waiting streams.
    session.on("error", reject);
    session.on("close", () => reject(new Error("the peer hung up")));
  });
  session.setLocalWindowSize(WINDOW_BYTES);
  return new Http2Connection(session);
}

class Http2Connection implements Connection {
  readonly #session: ClientHttp2Session;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  get isOpen(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  request(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Call {
    const stream = this.#session.request({
      ":method": "POST",
      ":path": path,
      "content-length": body.length,
      ...headers,
    });
    const reply = replyOf(stream);
    stream.end(body);
    return { reply, cancel: () => stream.close(NGHTTP2_CANCEL) };
  }
}

function replyOf(stream: ClientHttp2Stream): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let received = 0;
    let announced: number | null = null;
    let cause: unknown;
    stream.on("response", ({ ":status": status = 0, "content-length": length }) => {
      announced = Number(length);
      if (status !== 200) resolve({ status, body: new Uint8Array(0) });
    });
    stream.on("data", (chunk: Uint8Array) => {
      received += chunk.length;
      if (received > ANSWER_BYTES_MAX)
        reject(new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`));
      else chunks.push(chunk);
    });
    stream.on("end", () => {
      // A stream also ends when its connection breaks.
      if (received === announced) resolve({ status: 200, body: joined(chunks) });
    });
    stream.on("error", (error) => {
      cause = error;
    });
    stream.on("close", () => {
      if (stream.rstCode === NGHTTP2_REFUSED_STREAM) resolve("refused");
      else reject(new Error("the connection broke", { cause }));
    });
  });
}
