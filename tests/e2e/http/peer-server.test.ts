// A peer in its own process against strangers, random bytes and a body of 1 GB.

import { expect, test } from "bun:test";
import http2, { type OutgoingHttpHeaders } from "node:http2";
import net from "node:net";
import { createRandom } from "../../../src/task/seed.ts";
import { goodHeaders, openSession, PREFACE, proven, RUNTIMES, spawnPeer } from "../../http/wire.ts";
import { residentBytes } from "../../parts/memory.ts";
import { until } from "../../parts/until.ts";

test.each(["http", "https"])(
  "a server hangs up on clients of %s that speak another protocol, and prints nothing",
  async (scheme) => {
    await using peer = await spawnPeer({ scheme });
    const tlsHello = Buffer.from("16030100c8010000c40303", "hex");
    const get = Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    for (const bytes of [get, tlsHello, PREFACE, Buffer.from("\r\n\r\n"), Buffer.alloc(100, 0xff)])
      await knock(peer.url, bytes);
    using session = openSession(peer.url, { peer: "fixture" });
    await session.request("echo", new Uint8Array(1), { timeoutMs: 50_000 });
    peer.child.kill("SIGKILL");
    expect(await peer.said).toBe("");
  },
);

test.each(["Bun", "Deno"])(
  "random bytes, and requests with random bytes in them, break no server under %s",
  async (runtime) => {
    const command = RUNTIMES[runtime];
    if (!command) return;
    const seed = Number(process.env["MATRIX_FUZZ_SEED"] ?? Date.now() % 1_000_000);
    const random = createRandom(seed);
    await using peer = await spawnPeer({ command });
    const good = await recordedRequest();
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(good);
      const from = round % 3 === 0 ? 0 : PREFACE.length;
      const spoilt = round % 3 === 2 ? 1 + Math.floor(random() * 4) : bytes.length;
      for (let i = 0; i < spoilt; i++)
        bytes[from + Math.floor(random() * (bytes.length - from))] = Math.floor(random() * 256);
      await knock(peer.url, bytes.subarray(0, Math.ceil(random() * bytes.length)));
    }
    using session = openSession(peer.url, { peer: "fixture" });
    const served = await session
      .request("echo", new Uint8Array(1), { timeoutMs: 50_000 })
      .catch((error: unknown) => error);
    expect([seed, served]).toEqual([seed, new Uint8Array(1)]);
    peer.child.kill("SIGKILL");
    expect([seed, await peer.said]).toEqual([seed, ""]);
  },
  60_000,
);

test.each([
  ["a stranger", { authorization: "Bearer x" }, 401],
  ["a member", {}, 413],
  [
    "a member that does not say so, which the runtime itself resets",
    { "content-length": 1000 },
    undefined,
  ],
])(
  "a body of 1 GB from %s leaves the memory flat",
  async (_, more, status) => {
    await using peer = await spawnPeer();
    if (process.platform !== "linux") return console.log("skipped: memory is read from /proc");
    using session = openSession(peer.url, { peer: "fixture" });
    await session.request("echo", new Uint8Array(2 ** 20), { timeoutMs: 50_000 });
    const before = residentBytes(peer.child.pid);
    const pumped = pump(
      peer.url,
      { ...goodHeaders(), "matrix-to": "fixture", "content-length": GIGABYTE, ...more },
      GIGABYTE,
    );
    let most = before;
    let isOver = false;
    void pumped.then(() => {
      isOver = true;
    });
    await until(() => {
      most = Math.max(most, residentBytes(peer.child.pid));
      return isOver;
    }, "the body is refused");
    expect((await pumped).status).toBe(status);
    expect(most - before).toBeLessThan(32 * 2 ** 20);
    await session.request("echo", new Uint8Array(1), { timeoutMs: 50_000 });
  },
  60_000,
);

/** The bytes of a good request, as a client puts them on the wire. */
async function recordedRequest(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const server = net.createServer((socket) =>
    socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => undefined),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = http2
    .connect(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
    .on("error", () => undefined);
  session
    .request({ ...goodHeaders(), "matrix-to": "fixture" })
    .on("error", () => undefined)
    .end("abc");
  await until(() => Buffer.concat(chunks).includes("abc"), "the request is recorded");
  session.destroy();
  server.close();
  return Buffer.concat(chunks);
}

/** Pours a body until all of it is gone or the other side has had enough. */
async function pump(
  url: string,
  headers: OutgoingHttpHeaders,
  bytes: number,
): Promise<{ readonly status: number | undefined; readonly sent: number }> {
  const chunk = Buffer.alloc(2 ** 18);
  const session = http2.connect(url).on("error", () => undefined);
  const request = await proven(session, headers);
  return new Promise((resolve) => {
    let [sent, status]: [number, number | undefined] = [0, undefined];
    const stream = session.request(request).on("error", () => undefined);
    const pour = () => {
      while (sent < bytes && !stream.destroyed) {
        sent += chunk.length;
        if (!stream.write(chunk)) return void stream.once("drain", pour);
      }
      stream.end();
    };
    stream.on("response", (answered) => {
      status = answered[":status"];
    });
    stream.resume().on("close", () => {
      session.destroy();
      resolve({ status, sent });
    });
    pour();
  });
}

const GIGABYTE = 2 ** 30;

/**
 * Sends bytes on their own connection and waits until the other side has had enough, or says
 * nothing more.
 */
async function knock(url: string, bytes: Buffer): Promise<void> {
  const socket = net.connect(Number(new URL(url).port), "127.0.0.1");
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => undefined).resume();
  socket.end(bytes);
  // Half a request gets no answer; the connection ends only when this side hangs up.
  const timer = setTimeout(() => socket.destroy(), 100);
  await closed;
  clearTimeout(timer);
}
