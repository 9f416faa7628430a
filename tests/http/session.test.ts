// A session to peers that are gone, slow, stopped, killed or no peers at all: every request ends
// within its time, with the whole answer or with an error that says whether the peer may have
// acted.

import { expect, test } from "bun:test";
import http2, { type ServerHttp2Stream } from "node:http2";
import net, { type AddressInfo } from "node:net";
import { MatrixError } from "../../src/error.ts";
import type { PeerSession, RequestOptions } from "../../src/http/session.ts";
import { until } from "../parts/until.ts";
import { MISBEHAVIOURS, startServer } from "./misbehaving-server.ts";
import { hangingRoute, openSession, spawnPeer, startPeer } from "./wire.ts";

const BODY = new Uint8Array(100);

/** The error that a request fails with. */
async function failure(
  session: PeerSession,
  route = "echo",
  options: RequestOptions = { timeoutMs: 50_000 },
): Promise<MatrixError> {
  const thrown = await session.request(route, BODY, options).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ code: "peer_failed" });
  return thrown as MatrixError;
}

test("a session carries more requests at once than its peer takes on one connection", async () => {
  await using peer = await startPeer();
  using session = openSession(peer.url);
  const requests = Array.from({ length: 1000 }, () =>
    session.request("echo", BODY, { timeoutMs: 50_000 }),
  );
  expect(new Set((await Promise.all(requests)).map(({ length }) => length))).toEqual(
    new Set([100]),
  );
  expect(peer.refused).toEqual({});
});

test("a session carries large and small bodies at once", async () => {
  await using peer = await startPeer();
  using session = openSession(peer.url);
  const sizes = [32 * 2 ** 20, 1, 16 * 2 ** 20, 100, 0, 32 * 2 ** 20, 7];
  const answers = sizes.map((size) =>
    session.request("echo", Buffer.alloc(size, size), { timeoutMs: 30_000 }),
  );
  expect((await Promise.all(answers)).map(({ length }) => length)).toEqual(sizes);
});

test("a session knows the address that it speaks from, once it has spoken", async () => {
  await using peer = await startPeer();
  using session = openSession(peer.url);
  expect(session.localAddress).toBeNull();
  await session.request("echo", BODY, { timeoutMs: 50_000 });
  expect(session.localAddress).toBe("127.0.0.1");
});

test("a session opens again when its peer is back", async () => {
  const first = await startPeer();
  using session = openSession(first.url);
  await session.request("echo", BODY, { timeoutMs: 50_000 });
  await first.stop();
  await until(async () => !(await failure(session)).maybeActed, "nobody is there");
  await using _again = await startPeer({ port: first.port });
  expect(await session.request("echo", BODY, { timeoutMs: 50_000 })).toHaveLength(100);
});

test("a session that was closed makes no more requests, and ends those under way", async () => {
  const { route, asked } = hangingRoute();
  await using peer = await startPeer({ routes: { hang: route } });
  const session = openSession(peer.url);
  const underWay = failure(session, "hang");
  await asked;
  session.close();
  expect((await underWay).maybeActed).toBe(true);
  expect((await failure(session)).maybeActed).toBe(false);
});

test("a request that was given up before it began fails once, also on a closed session", async () => {
  const session = openSession("http://127.0.0.1:1");
  session.close();
  const signal = AbortSignal.abort(new Error("no longer wanted"));
  const { message } = await failure(session, "echo", { timeoutMs: 50_000, signal });
  expect(message).toBe("echo to http://127.0.0.1:1: the session was closed");
});

test("a request was certainly not acted on when no process listens", async () => {
  const peer = await startPeer();
  await peer.stop();
  using session = openSession(peer.url);
  const { maybeActed, status, message } = await failure(session);
  expect([maybeActed, status]).toEqual([false, null]);
  expect(message).toContain(`echo to ${peer.url}: cannot connect: `);
});

test.each([
  ["the token is another", { token: "another" }, 401, "echo"],
  ["the receiver is another", { peer: "somebody" }, 421, "echo"],
  ["the route is not there", {}, 404, "nowhere"],
  ["the body is too large", {}, 413, "tiny"],
  ["the body makes no sense", {}, 400, "picky"],
])("a request was certainly not acted on when %s", async (_, options, status, route) => {
  const picky = () => Promise.reject(new MatrixError("wire_invalid", "no"));
  const routes = {
    echo: { bytesMax: 100, run: () => BODY },
    tiny: { bytesMax: 99, run: () => BODY },
    picky: { bytesMax: 100, run: picky },
  };
  await using peer = await startPeer({ routes });
  using session = openSession(peer.url, options);
  const error = await failure(session, route);
  expect([error.maybeActed, error.status]).toEqual([false, status]);
});

test("a request was certainly not acted on when the peer refuses its stream", async () => {
  const settings = Buffer.from("000000040000000000", "hex");
  const refusal = Buffer.from("00000403000000000100000007", "hex"); // RST_STREAM of stream 1, REFUSED_STREAM
  using server = await startRaw((socket) => {
    socket.write(settings);
    onHeaders(socket, () => socket.write(refusal));
  });
  using session = openSession(server.url);
  expect((await failure(session)).maybeActed).toBe(false);
});

test("a request was certainly not acted on when it was given up before there was a connection", async () => {
  using silent = await startRaw(() => undefined);
  using session = openSession(silent.url.replace("http:", "https:"));
  expect((await failure(session, "echo", { timeoutMs: 100 })).maybeActed).toBe(false);
  expect(
    (await failure(session, "echo", { timeoutMs: 50_000, signal: AbortSignal.abort() })).maybeActed,
  ).toBe(false);
});

test("a request was certainly not acted on when no connection comes about in time, and its socket is closed", async () => {
  let open = 0;
  using silent = await startRaw((socket) => {
    open++;
    socket.on("close", () => open--);
  });
  using session = openSession(silent.url.replace("http:", "https:"), { connectTimeoutMs: 100 });
  expect((await failure(session)).message).toContain("no connection within 100 ms");
  expect((await failure(session)).maybeActed).toBe(false);
  await until(() => open === 0, "both sockets are closed", 5000);
});

test("a request that failed tells the error of its stream as the last cause", async () => {
  // RST_STREAM of stream 1, INTERNAL_ERROR
  const reset = Buffer.from("00000403000000000100000002", "hex");
  using server = await startRaw((socket) => {
    socket.write(Buffer.from("000000040000000000", "hex"));
    onHeaders(socket, () => socket.write(reset));
  });
  using session = openSession(server.url);
  const { message, maybeActed, cause } = await failure(session);
  const why = "cannot connect: the connection broke";
  expect([message, maybeActed]).toEqual([`echo to ${server.url}: ${why}`, false]);
  const broken = (cause as Error).cause as Error;
  expect(broken.cause).toMatchObject({ code: "ERR_HTTP2_STREAM_ERROR" });
});

test("a request may have been acted on when its route breaks", async () => {
  await using peer = await startPeer({
    routes: { echo: { bytesMax: 100, run: () => Promise.reject(new Error("a bug")) } },
  });
  using session = openSession(peer.url);
  const error = await failure(session);
  expect([error.maybeActed, error.status]).toEqual([true, 500]);
});

test("a request may have been acted on when the peer is killed meanwhile", async () => {
  await using peer = await spawnPeer();
  using session = openSession(peer.url, { peer: "fixture" });
  await session.request("echo", BODY, { timeoutMs: 50_000 });
  const error = failure(session, "hang", { timeoutMs: 50_000 });
  await session.request("echo", BODY, { timeoutMs: 50_000 });
  peer.child.kill("SIGKILL");
  expect((await error).maybeActed).toBe(true);
  expect((await failure(session)).maybeActed).toBe(false);
});

test("a request to a peer that is stopped ends in time, may have been acted on, and is followed by one that finds the peer awake", async () => {
  await using peer = await spawnPeer();
  using session = openSession(peer.url, { peer: "fixture" });
  await session.request("echo", BODY, { timeoutMs: 50_000 });
  peer.child.kill("SIGSTOP");
  const both = [
    failure(session, "echo", { timeoutMs: 300 }),
    // Longer than the test may take: it must end with the first.
    failure(session, "echo", { timeoutMs: 600_000 }),
  ];
  expect((await Promise.all(both)).map(({ maybeActed }) => maybeActed)).toEqual([true, true]);
  // The kernel takes a connection for it, but nothing was asked on that.
  expect((await failure(session, "echo", { timeoutMs: 300 })).maybeActed).toBe(false);
  peer.child.kill("SIGCONT");
  expect(await session.request("echo", BODY, { timeoutMs: 50_000 })).toHaveLength(100);
});

test.each([...MISBEHAVIOURS, ["the peer says that it goes away, and does", goAway] as const])(
  "a request may have been acted on when %s",
  async (_, misbehave) => {
    await using server = await startServer(misbehave);
    using session = openSession(server.url);
    expect((await failure(session, "echo", { timeoutMs: 500 })).maybeActed).toBe(true);
  },
);

test("a request that is aborted reports that the peer may have acted, and harms no other", async () => {
  const slow = Promise.withResolvers<Uint8Array>();
  const { route, asked } = hangingRoute();
  await using peer = await startPeer({
    routes: { hang: route, slow: { bytesMax: 100, run: () => slow.promise } },
  });
  using session = openSession(peer.url);
  const other = session.request("slow", BODY, { timeoutMs: 50_000 });
  const controller = new AbortController();
  const givenUp = failure(session, "hang", { timeoutMs: 50_000, signal: controller.signal });
  await asked;
  controller.abort(new Error("no longer wanted"));
  const { maybeActed, message } = await givenUp;
  expect([maybeActed, message]).toEqual([true, `hang to ${peer.url}: no longer wanted`]);
  slow.resolve(BODY);
  expect(await other).toHaveLength(100);
});

test("a peer that says it goes away answers what it has, and is asked no more on that connection", async () => {
  const held: ServerHttp2Stream[] = [];
  let connections = 0;
  await using server = await startServer((stream) => {
    if (connections === 1) held.push(stream);
    else stream.respond({ ":status": 200, "content-length": 0 }, { endStream: true });
  });
  server.http2.on("session", () => connections++);
  using session = openSession(server.url);
  const first = session.request("echo", BODY, { timeoutMs: 50_000 });
  await until(() => held.length === 1, "the first request has arrived");
  held[0]?.session?.close();
  await until(
    async () =>
      (await session.request("echo", BODY, { timeoutMs: 300 }).catch(() => null)) !== null,
    "there is a second connection",
  );
  held[0]?.respond({ ":status": 200, "content-length": 0 }, { endStream: true });
  expect(await first).toHaveLength(0);
  expect(connections).toBe(2);
});

test.each([
  "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
  "\0\0\0",
  "SSH-2.0-OpenSSH\r\n",
])("what is not a peer at all is not an answer: %j", async (greeting) => {
  using server = await startRaw((socket) => socket.end(greeting));
  using session = openSession(server.url);
  const { maybeActed, status } = await failure(session);
  expect([maybeActed, status]).toEqual([false, null]);
});

function goAway({ session }: ServerHttp2Stream): void {
  session?.goaway(http2.constants.NGHTTP2_INTERNAL_ERROR);
  session?.destroy();
}

/** A server that speaks bytes. */
async function startRaw(onSocket: (socket: net.Socket) => void) {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on("error", () => undefined).resume());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]: stop,
  };
}

/** Calls back at a client's first HEADERS frame. */
function onHeaders(socket: net.Socket, then: () => void): void {
  let bytes = Buffer.alloc(0);
  let at = 24; // after the preface
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (; bytes.length >= at + 9; at += 9 + bytes.readUIntBE(at, 3))
      if (bytes[at + 3] === 1) return then();
  });
}
