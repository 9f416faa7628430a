// A server that answers the first probe, and then breaks the protocol as no peer would.

import http2, { type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { CHALLENGE, GREETING_PATH, Greeter } from "../../src/http/proof.ts";
import { TOKEN } from "./wire.ts";

export type Misbehaviour = (stream: ServerHttp2Stream) => void;

/** Each way to fail after a request has arrived, so that the peer may have acted on it. */
export const MISBEHAVIOURS: readonly (readonly [what: string, misbehave: Misbehaviour])[] = [
  ["the connection breaks", (stream) => stream.session?.destroy()],
  ["the stream is reset", (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR)],
  [
    "the connection breaks within the answer",
    (stream) => answerHalf(stream, () => stream.session?.destroy()),
  ],
  [
    "the stream is reset within the answer",
    (stream) => answerHalf(stream, () => stream.close(http2.constants.NGHTTP2_CANCEL)),
  ],
  ["the answer is shorter than it said", (stream) => answerHalf(stream, () => stream.end())],
  ["the answer never ends", (stream) => answerHalf(stream, () => undefined)],
  ["the answer has no length", answerWithoutLength],
  [
    "the answer has no sense",
    (stream) => stream.respond({ ":status": 302, "content-length": 0 }, { endStream: true }),
  ],
];

/** Answers the greeting as a member does. */
export function answerGreeting(
  stream: ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  { self = "receiver", token = TOKEN } = {},
): void {
  const { remoteAddress = "", remotePort = 0, localPort = 0 } = stream.session?.socket ?? {};
  const connection = {
    tls: false,
    clientAddress: remoteAddress,
    clientPort: remotePort,
    serverPort: localPort,
  };
  const greeting = new Greeter(token, self).greet(String(headers[CHALLENGE]), connection) ?? "";
  stream.respond({ ":status": 200, "content-length": greeting.length });
  stream.end(greeting);
}

export async function startServer(misbehave: Misbehaviour) {
  const server = http2.createServer();
  server.on("sessionError", () => undefined);
  server.on("session", (session) => session.on("error", () => undefined));
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined).resume();
    if (headers[":path"] === "/healthz")
      stream.respond({ ":status": 200, "content-length": 0 }, { endStream: true });
    else if (headers[":path"] === GREETING_PATH) answerGreeting(stream, headers);
    else misbehave(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { http2: server, url, [Symbol.asyncDispose]: async () => void server.close() };
}

function answerWithoutLength(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200 });
  stream.end("abc");
}

/** Answers the first half of what it announces, and goes on once that is sent. */
function answerHalf(stream: ServerHttp2Stream, then: () => void): void {
  stream.respond({ ":status": 200, "content-length": 200 });
  stream.write(Buffer.alloc(100), then);
}
