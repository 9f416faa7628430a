// The server of a peer against members that err, strangers, port scanners and worse. What it
// refuses costs it nothing.

import { expect, test } from "bun:test";
import type { OutgoingHttpHeaders } from "node:http2";
import net from "node:net";
import { MatrixError } from "../../src/error.ts";
import { PeerServer } from "../../src/http/peer-server.ts";
import { metricsToken } from "../../src/http/proof.ts";
import { until } from "../parts/until.ts";
import { ask, goodHeaders, hangingRoute, openSession, PREFACE, startPeer, TOKEN } from "./wire.ts";

test.each([0, 1, 65_536, 64 * 2 ** 20])(
  "a request of %d bytes reaches its route, and the answer comes back byte for byte",
  async (bytes) => {
    await using peer = await startPeer();
    using session = openSession(peer.url);
    const body = Buffer.alloc(bytes, "0123456789abcdef");
    expect(Buffer.compare(await session.request("echo", body, { timeoutMs: 50_000 }), body)).toBe(
      0,
    );
    expect(peer.refused).toEqual({});
  },
);

test("a request is answered with a status, a type, a length and nothing else", async () => {
  await using peer = await startPeer();
  const { headers, body } = await ask(peer.url, goodHeaders(), Buffer.from("abc"));
  expect(headers).toEqual({
    ":status": 200,
    "content-type": "application/msgpack",
    "content-length": "3",
  });
  expect(body).toBe("abc");
});

test("a route is told who sent a request, and a request can leave its receiver open", async () => {
  await using peer = await startPeer({
    routes: { who: { bytesMax: 10, run: (_, from) => Buffer.from(from) } },
  });
  expect(
    (
      await ask(peer.url, {
        ...goodHeaders(),
        ":path": "/v1/who",
        "matrix-from": "me-_9",
        "matrix-to": "",
      })
    ).body,
  ).toBe("me-_9");
});

const wrong: readonly [string, OutgoingHttpHeaders, number, string][] = [
  ["of another protocol version", { "matrix-protocol": "1" }, 426, "version"],
  ["for another host", { "matrix-to": "somebody" }, 421, "addressee"],
  ["from a host whose name is none", { "matrix-from": "no name" }, 400, "sender"],
  ["from a host with a name without end", { "matrix-from": "a".repeat(65) }, 400, "sender"],
  ["to a route that is not there", { ":path": "/v1/nowhere" }, 404, "path"],
  ["to a name that every object has", { ":path": "/v1/constructor" }, 404, "path"],
  ["to a path that is not there", { ":path": "/v2/echo" }, 404, "path"],
  ["by another method", { ":method": "PUT" }, 405, "method"],
  ["of another content type", { "content-type": "application/json" }, 415, "content_type"],
  ["without a number", { "matrix-request": "" }, 409, "replayed"],
  ["with a number that is none", { "matrix-request": "1e3" }, 409, "replayed"],
  [
    "with a larger body than its route takes",
    { "content-length": 64 * 2 ** 20 + 1 },
    413,
    "too_large",
  ],
];
test.each(wrong)(
  "a request %s is refused, counted and never run",
  async (_, headers, status, reason) => {
    const { routes, runs } = countedEcho();
    await using peer = await startPeer({ routes });
    const answer = await ask(peer.url, { ...goodHeaders(), ...headers });
    expect(answer.headers).toEqual({ ":status": status, "content-length": "0" });
    expect(peer.refused).toEqual({ [reason]: 1 });
    expect(runs()).toBe(0);
  },
);

test("a request without its length is refused", async () => {
  await using peer = await startPeer();
  const { "content-length": _, ...headers } = goodHeaders();
  expect((await ask(peer.url, headers)).status).toBe(411);
});

test.each([2, 4])(
  "a request that announces %d bytes and sends 3 is never run",
  async (announced) => {
    const { routes, runs } = countedEcho();
    await using peer = await startPeer({ routes });
    expect(
      (await ask(peer.url, { ...goodHeaders(), "content-length": announced })).status,
    ).not.toBe(200);
    expect(runs()).toBe(0);
    using session = openSession(peer.url);
    expect(await session.request("echo", new Uint8Array(2), { timeoutMs: 50_000 })).toHaveLength(2);
  },
);

test("a request that comes a second time is refused, also on another connection", async () => {
  await using peer = await startPeer();
  const headers = goodHeaders();
  expect((await ask(peer.url, headers)).status).toBe(200);
  expect((await ask(peer.url, headers)).status).toBe(409);
  expect(peer.refused).toEqual({ replayed: 1 });
});

test("an operating error of a route that is not of the wire is a bug, like any other error", async () => {
  const run = () => Promise.reject(new MatrixError("storage_failed", "no space"));
  await using peer = await startPeer({ routes: { full: { bytesMax: 10, run } } });
  expect((await ask(peer.url, { ...goodHeaders(), ":path": "/v1/full" })).status).toBe(500);
  expect([peer.refused, peer.bugs.length]).toEqual([{ bug: 1 }, 1]);
});

test("a server without a token is not made", async () => {
  await expect(startPeer({ token: "" })).rejects.toThrow("an empty token proves nothing");
});

test("a request whose body makes no sense is refused with 400; a bug in its route answers 500 and is reported", async () => {
  const bug = new Error("a bug");
  const fail = (thrown: Error) => ({ bytesMax: 10, run: () => Promise.reject(thrown) });
  await using peer = await startPeer({
    routes: { senseless: fail(new MatrixError("wire_invalid", "truncated")), buggy: fail(bug) },
  });
  expect((await ask(peer.url, { ...goodHeaders(), ":path": "/v1/senseless" })).status).toBe(400);
  expect(peer.bugs).toEqual([]);
  const { status, body } = await ask(peer.url, { ...goodHeaders(), ":path": "/v1/buggy" });
  expect([status, body]).toEqual([500, ""]);
  expect(peer.bugs).toEqual([bug]);
  expect(peer.refused).toEqual({ malformed: 1, bug: 1 });
});

test("the holder of the metrics token gets the metrics and nothing else, and every client gets the health", async () => {
  await using peer = await startPeer();
  const get = (path: string, more: OutgoingHttpHeaders) =>
    ask(peer.url, { ":method": "GET", ":path": path, ...more }, null);
  const authorization = `Bearer ${metricsToken(TOKEN)}`;
  expect((await get("/metrics", { authorization })).body).toBe("tasks 1\n");
  expect((await get("/metrics", {})).status).toBe(401);
  expect((await get("/metrics", { authorization: `Bearer ${TOKEN}` })).status).toBe(401);
  expect((await get("/v1/echo", { authorization })).status).toBe(404);
  expect((await ask(peer.url, { ...goodHeaders(), authorization })).status).toBe(401);
  expect((await get("/healthz", {})).body).toBe("ok");
});

const tokens = [
  "",
  "Bearer",
  "Bearer ",
  "Bearer x",
  `Bearer ${TOKEN}x`,
  `Bearer ${TOKEN.slice(1)}`,
  TOKEN,
  `Basic ${TOKEN}`,
  `bearer ${TOKEN}`,
];
const paths = [
  "/v1/echo",
  "/v1/nowhere",
  "/metrics",
  "/",
  "*",
  "//",
  "/v1/%ff",
  "/v1/../metrics",
  `/${"a".repeat(2000)}`,
];

test("a stranger learns nothing: 401 and an empty body to every token, path and method", async () => {
  const { routes, runs } = countedEcho();
  await using peer = await startPeer({ routes });
  const requests = [
    ...tokens.map((authorization) => ({ authorization })),
    ...paths.map((path) => ({ ":path": path, authorization: "Bearer x" })),
    ...["PUT", "GET", "OPTIONS", "TRACE"].map((method) => ({
      ":method": method,
      authorization: "Bearer x",
    })),
  ];
  for (const more of requests) {
    const { status, headers, body } = await ask(peer.url, { ...goodHeaders(), ...more });
    if (status !== undefined) expect(headers).toEqual({ ":status": 401, "content-length": "0" });
    expect(body).toBe("");
  }
  expect(peer.refused["stranger"]).toBeGreaterThan(requests.length - 4);
  expect(Object.keys(peer.refused)).toEqual(["stranger"]);
  expect([runs(), peer.bugs]).toEqual([0, []]);
});

test.each<[string, Buffer[]]>([
  ["nothing at all", []],
  ["its first bytes one by one", [...PREFACE].map((byte) => Buffer.of(byte))],
  [
    "a request whose headers never end",
    [PREFACE, Buffer.from("000000040000000000", "hex"), ...headersWithoutEnd()],
  ],
])(
  "a stranger that sends %s is put out in time, and members are served meanwhile",
  async (_, pieces) => {
    await using peer = await startPeer({ strangerTimeoutMs: 500 });
    using session = openSession(peer.url);
    const socket = net
      .connect(peer.port, "127.0.0.1")
      .on("error", () => undefined)
      .resume();
    let isOver = false;
    socket.on("close", () => {
      isOver = true;
    });
    let sent = 0;
    const drip = setInterval(() => socket.write(pieces[sent++ % pieces.length] ?? ""), 20);
    if (pieces.length === 0) clearInterval(drip);
    let served = 0;
    while (!isOver) {
      await session.request("echo", new Uint8Array(10), { timeoutMs: 50_000 });
      served++;
    }
    clearInterval(drip);
    expect(served).toBeGreaterThan(0);
    // The member has been here for longer than that.
    await session.request("echo", new Uint8Array(10), { timeoutMs: 50_000 });
  },
);

test("hundreds of strangers that say nothing lock no member out", async () => {
  await using peer = await startPeer();
  using early = openSession(peer.url);
  await early.request("echo", new Uint8Array(1), { timeoutMs: 50_000 });
  let open = 0;
  const sockets = Array.from({ length: 600 }, () => {
    const socket = net.connect(peer.port, "127.0.0.1", () => open++);
    return socket
      .on("error", () => undefined)
      .on("close", () => open--)
      .resume();
  });
  await until(() => open === 256, "only the newest strangers are left");
  using late = openSession(peer.url);
  for (const session of [early, late])
    expect(await session.request("echo", new Uint8Array(1), { timeoutMs: 50_000 })).toHaveLength(1);
  for (const socket of sockets) socket.destroy();
});

test("a server that stops hangs up on everyone", async () => {
  const { route, asked } = hangingRoute();
  const peer = await startPeer({ routes: { hang: route } });
  using session = openSession(peer.url);
  const socket = net
    .connect(peer.port, "127.0.0.1")
    .on("error", () => undefined)
    .resume();
  const closed = new Promise((resolve) => socket.on("close", resolve));
  const request = session
    .request("hang", new Uint8Array(1), { timeoutMs: 50_000 })
    .catch((error: unknown) => error);
  await asked;
  await peer.stop();
  await closed;
  expect((await request) as MatrixError).toHaveProperty("maybeActed", true);
});

/** The route that echoes, and how often it ran. */
function countedEcho() {
  let runs = 0;
  const run = (body: Uint8Array): Uint8Array => {
    runs++;
    return body;
  };
  return { routes: { echo: { bytesMax: 64 * 2 ** 20, run } }, runs: () => runs };
}

/** HEADERS without END_HEADERS, and CONTINUATION after CONTINUATION: a header a piece. */
function headersWithoutEnd(): Buffer[] {
  const frame = (type: string, block: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from(`0000${block.length.toString(16).padStart(2, "0")}${type}0000000001`, "hex"),
      block,
    ]);
  const field = Buffer.from("0001780179", "hex"); // x: y, kept in no table
  return [
    frame("01", Buffer.from("8386", "hex")),
    ...Array.from({ length: 200 }, () => frame("09", field)),
  ];
}

test("a server refuses members as starting until it is started, and the sender knows that nothing was done", async () => {
  await using server = Object.assign(
    await PeerServer.listen({
      hostname: "127.0.0.1",
      port: 0,
      token: TOKEN,
      tls: false,
      self: "receiver",
      onBug: () => undefined,
    }),
    { [Symbol.asyncDispose]: (): Promise<void> => server.stop() },
  );
  using session = openSession(server.url);
  const refusal = await session
    .request("echo", new Uint8Array(3), { timeoutMs: 50_000 })
    .catch((thrown: MatrixError) => thrown);
  expect(refusal).toMatchObject({ status: 503, maybeActed: false });
  expect((await ask(server.url, { ...goodHeaders(), authorization: "Bearer wrong" })).status).toBe(
    401,
  );
  expect(server.refused).toEqual({ starting: 1, stranger: 1 });
  server.start({ routes: { echo: { bytesMax: 3, run: (body) => body } }, metrics: () => "" });
  expect(await session.request("echo", new Uint8Array(3), { timeoutMs: 50_000 })).toHaveLength(3);
});
