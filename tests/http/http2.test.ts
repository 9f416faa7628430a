// HTTP/2 as node:http2 speaks it for peers: settings, bodies that are too long, and connections.

import { expect, test } from "bun:test";
import http2, { type ServerHttp2Stream } from "node:http2";
import net, { type AddressInfo } from "node:net";
import { UNWANTED_BYTES_MAX } from "../../src/http/exchange.ts";
import { openHttp2 } from "../../src/http/http2-connection.ts";
import { WINDOW_BYTES } from "../../src/http/http2-server.ts";
import { until } from "../parts/until.ts";
import { goodHeaders, openSession, startPeer } from "./wire.ts";

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
  expect(await call.reply).toEqual({ status: 404, body: new Uint8Array(0) });
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
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "content-length": 0 }, { endStream: true });
  });
  await new Promise<void>((resolve) => server.listen(first.port, "127.0.0.1", resolve));
  await Promise.all([ask(), ask(), ask()]);
  expect(connections).toBe(1);
  session.close();
  server.close();
});

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
