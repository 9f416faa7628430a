// HTTP/2 as node:http2 speaks it for peers: settings, bodies that are too long, and connections.

import { expect, test } from "bun:test";
import http2, { type ServerHttp2Stream } from "node:http2";
import net, { type AddressInfo } from "node:net";
import { UNWANTED_BYTES_MAX } from "../../src/http/exchange.ts";
import { openHttp2 } from "../../src/http/http2-connection.ts";
import { WINDOW_BYTES } from "../../src/http/http2-server.ts";
import { GREETING_PATH } from "../../src/http/proof.ts";
import { until } from "../parts/until.ts";
import { answerGreeting } from "./misbehaving-server.ts";
import { ask, goodHeaders, openSession, PREFACE, proofOn, startPeer } from "./wire.ts";

const BODY = new Uint8Array(10);

async function listen(server: net.Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The settings of the first frame after the client's preface, by their number. */
function settingsOf(bytes: Buffer): Map<number, number> | null {
  const frame = bytes.subarray(24);
  if (frame.length < 9 || frame.length < 9 + frame.readUIntBE(0, 3)) return null;
  const settings = new Map<number, number>();
  for (let at = 9; at < 9 + frame.readUIntBE(0, 3); at += 6)
    settings.set(frame.readUInt16BE(at), frame.readUInt32BE(at + 2));
  return settings;
}

test("a client takes no pushed streams, and wide windows", async () => {
  const chunks: Buffer[] = [];
  const server = net.createServer((socket) =>
    socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => undefined),
  );
  using session = openSession(await listen(server));
  const request = session.request("echo", BODY, { timeoutMs: 50_000 }).catch(() => undefined);
  await until(() => settingsOf(Buffer.concat(chunks)) !== null, "the settings came");
  const settings = settingsOf(Buffer.concat(chunks));
  expect([settings?.get(2), settings?.get(4)]).toEqual([0, WINDOW_BYTES]);
  session.close();
  await request;
  server.close();
});

test("a peer that hangs up before it has spoken is not a connection", async () => {
  const server = net.createServer((socket) => socket.on("error", () => undefined).end());
  const url = await listen(server);
  using session = openSession(url);
  await expect(session.request("echo", BODY, { timeoutMs: 50_000 })).rejects.toMatchObject({
    message: `echo to ${url}: cannot connect: the peer hung up`,
    maybeActed: false,
  });
  server.close();
});

test("an answer with another status than 200 has no body", async () => {
  await using peer = await startPeer();
  const { port } = new URL(peer.url);
  const connection = await openHttp2(peer.url, net.connect(Number(port), "127.0.0.1"));
  const { "content-length": _, ...headers } = goodHeaders();
  const own = Object.entries(headers).filter(([name]) => !name.startsWith(":"));
  const call = connection.request("/v1/nowhere", Object.fromEntries(own) as never, BODY);
  expect(await call.reply).toEqual({ status: 401, body: new Uint8Array(0) });
});

test("two requests that find the connection broken share the next one", async () => {
  const first = await startPeer();
  using session = openSession(first.url);
  await session.request("echo", BODY, { timeoutMs: 50_000 });
  await first.stop();
  const ask = () => session.request("echo", BODY, { timeoutMs: 50_000 });
  await until(
    () =>
      ask().then(
        () => false,
        ({ maybeActed }) => !maybeActed,
      ),
    "nobody is there",
  );
  let connections = 0;
  const server = http2.createServer();
  server.on("session", () => connections++);
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    if (headers[":path"] === GREETING_PATH) answerGreeting(stream, headers);
    else stream.respond({ ":status": 200, "content-length": 0 }, { endStream: true });
  });
  await new Promise<void>((resolve) => server.listen(first.port, "127.0.0.1", resolve));
  await Promise.all([ask(), ask(), ask()]);
  expect(connections).toBe(1);
  session.close();
  server.close();
});

/** How many requests, one after the other, are answered on one connection; 20 at most. */
async function answeredOn(url: string, authorization: string | null): Promise<number> {
  const client = http2.connect(url).on("error", () => undefined);
  const headers = { ...goodHeaders(), ":path": "/v1/nowhere" };
  const credentials = authorization ?? (await proofOn(client));
  let answered = 0;
  for (let number = 0; number < 20; number++) {
    const status = await new Promise((resolve) => {
      const stream = client.request({ ...headers, authorization: credentials });
      stream.on("error", () => undefined).on("response", (told) => resolve(told[":status"]));
      stream
        .resume()
        .on("close", () => resolve(undefined))
        .end(Buffer.alloc(3));
    });
    if (status === undefined) break;
    answered++;
  }
  client.destroy();
  return answered;
}

test("a stranger is put out at its eighth request, and a member is not", async () => {
  await using peer = await startPeer();
  // Its settings count, too.
  expect(await answeredOn(peer.url, "Matrix x")).toBe(7);
  expect(peer.refused).toEqual({ stranger: 7 });
  expect(await answeredOn(peer.url, null)).toBe(20);
});

test.each([
  ["pings", Buffer.from("0000080600000000000000000000000000", "hex")],
  ["settings", Buffer.from("000000040000000000", "hex")],
])(
  "a stranger that sends %s without end is put out, and members are served on",
  async (_, frame) => {
    // A stranger could stay for ten minutes.
    await using peer = await startPeer({ strangerTimeoutMs: 600_000 });
    const socket = net.connect(peer.port, "127.0.0.1").on("error", () => undefined);
    const closed = new Promise((resolve) => socket.resume().on("close", resolve));
    socket.write(Buffer.concat([PREFACE, ...Array(20).fill(frame)]));
    await closed;
    using session = openSession(peer.url);
    for (let again = 0; again < 20; again++)
      expect(await session.request("echo", BODY, { timeoutMs: 50_000 })).toHaveLength(10);
  },
);

test("a stranger who pours a body without end is cut off", async () => {
  await using peer = await startPeer();
  const client = http2.connect(peer.url).on("error", () => undefined);
  const length = UNWANTED_BYTES_MAX * 16;
  const headers = { ...goodHeaders(), authorization: "Bearer x", "content-length": length };
  const stream = client
    .request(headers)
    .on("error", () => undefined)
    .resume();
  const chunk = Buffer.alloc(2 ** 18);
  let sent = 0;
  const pour = () => {
    while (sent < length && !stream.destroyed) {
      sent += chunk.length;
      if (!stream.write(chunk)) return void stream.once("drain", pour);
    }
    stream.end();
  };
  pour();
  await new Promise((resolve) => stream.on("close", resolve));
  expect(sent).toBeLessThan(length);
  expect(peer.refused).toEqual({ stranger: 1 });
  client.destroy();
});

/** A frame of HTTP/2. */
interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The whole frames at the beginning of what a server sends. */
function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    const [type, stream] = [bytes[at + 3] ?? -1, bytes.readUInt32BE(at + 5)];
    frames.push({ type, stream, payload: bytes.subarray(at + 9, end) });
    at = end;
  }
  return frames;
}

/** A way to a server that keeps the frames that the server sends. */
async function tap(port: number) {
  const chunks: Buffer[] = [];
  let farPort = 0;
  const proxy = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1").on("error", () => undefined);
    far.on("connect", () => {
      farPort = far.localPort ?? 0;
    });
    far.on("data", (chunk: Buffer) => chunks.push(chunk));
    near.on("error", () => undefined);
    near.pipe(far).pipe(near);
  });
  const url = await listen(proxy);
  const framesOfType = (type: number) =>
    framesOf(Buffer.concat(chunks)).filter((frame) => frame.type === type);
  const endpoints = () => ({ clientPort: farPort, serverPort: port });
  return { url, framesOfType, endpoints, [Symbol.dispose]: () => void proxy.close() };
}

const [SETTINGS, WINDOW_UPDATE] = [4, 8];

test("a server announces a wide window for a stream, 256 streams, and 8 kB of headers", async () => {
  await using peer = await startPeer();
  using way = await tap(peer.port);
  await ask(way.url, goodHeaders());
  const { payload } = way.framesOfType(SETTINGS)[0] as Frame;
  const settings = Array.from({ length: payload.length / 6 }, (_, index) => [
    payload.readUInt16BE(index * 6),
    payload.readUInt32BE(index * 6 + 2),
  ]);
  expect(Object.fromEntries(settings)).toEqual({ 3: 256, 4: 4 * 2 ** 20, 6: 8192 });
});

test("a connection gets a wide window at its first request of a member, and not before", async () => {
  await using peer = await startPeer();
  using way = await tap(peer.port);
  const client = http2.connect(way.url).on("error", () => undefined);
  const requestBy = (authorization: string) =>
    new Promise((resolve) => {
      const headers = { ...goodHeaders(), authorization };
      const stream = client.request(headers).on("error", () => undefined);
      stream.resume().on("close", resolve).end(Buffer.alloc(3));
    });
  const widenings = () =>
    way
      .framesOfType(WINDOW_UPDATE)
      .filter(({ stream }) => stream === 0)
      .map(({ payload }) => payload.readUInt32BE(0));
  await requestBy("Bearer x");
  expect(widenings()).toEqual([]);
  const member = await proofOn(client, way.endpoints());
  await requestBy(member);
  await requestBy(member);
  // 65,535 bytes are the window that HTTP/2 begins with.
  expect(widenings()).toEqual([WINDOW_BYTES - 65_535]);
  client.destroy();
});

test.each([
  ["speaks HTTP/1.1", [Buffer.from("GET / HTTP/1.1\r\n\r\n")]],
  ["sends half a setting", [PREFACE, Buffer.from("0000050400000000000000000000", "hex")]],
  ["sends a frame without end", [PREFACE, Buffer.from("ffffff010400000001", "hex")]],
  ["says that it goes away for an error", [PREFACE, goAwayFrame()]],
])("a client that %s is hung up on, and members are served on", async (_, pieces) => {
  await using peer = await startPeer();
  const socket = net.connect(peer.port, "127.0.0.1").on("error", () => undefined);
  for (const piece of pieces) socket.write(piece);
  await new Promise((resolve) => socket.resume().on("close", resolve));
  using session = openSession(peer.url);
  expect(await session.request("echo", BODY, { timeoutMs: 50_000 })).toHaveLength(10);
  expect(peer.bugs).toEqual([]);
});

function goAwayFrame(): Buffer {
  return Buffer.from("0000080700000000000000000000000001", "hex");
}
