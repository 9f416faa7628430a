// Peers on Deno, which has another implementation of HTTP/2. It keeps the promises that
// session.test.ts and server.test.ts test on Bun.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { MISBEHAVIOURS, startServer } from "../../http/misbehaving-server.ts";
import {
  ask,
  goodHeaders,
  openSession,
  proven,
  spawnPeer,
  startPeer,
  TOKEN,
} from "../../http/wire.ts";
import { findDeno } from "../../parts/deno.ts";
import { ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";

setDefaultTimeout(60_000);

const deno = findDeno();
const command = [deno ?? "", "run", "-A", "--no-check", "--config", join(ROOT, "deno.json")];

interface Outcome {
  readonly id: number;
  readonly length?: number;
  readonly localAddress?: string;
  readonly isPeerError?: boolean;
  readonly maybeActed?: boolean;
  readonly status?: number | null;
  readonly message?: string;
}

/** A PeerSession in a Deno process. */
function spawnSession(
  url: string,
  { token = TOKEN, peer = "receiver", connectTimeoutMs = 5000 } = {},
) {
  const script = join(import.meta.dir, "fixture-session.ts");
  const child = Bun.spawn([...command, script, url, token, peer, String(connectTimeoutMs)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const waiting = new Map<number, (outcome: Outcome) => void>();
  createInterface({ input: Readable.fromWeb(child.stdout as never) }).on("line", (line) => {
    const outcome: Outcome = JSON.parse(line);
    waiting.get(outcome.id)?.(outcome);
  });
  const say = (what: object): void => {
    child.stdin.write(`${JSON.stringify(what)}\n`);
    child.stdin.flush();
  };
  let last = 0;
  return {
    request: (route: string, bytes: number, timeoutMs = 20_000) =>
      new Promise<Outcome>((resolve) => {
        waiting.set(++last, resolve);
        say({ id: last, route, bytes, timeoutMs });
      }),
    close: () => say({ close: true }),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** A server that greets with the given bytes, or stays silent for null. */
async function startRaw(greeting: string | null) {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined).resume();
    if (greeting !== null) socket.end(greeting);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.dispose]: () => void server.close() };
}

describe.skipIf(deno === null)("a session on Deno", () => {
  test("a session on Deno carries large and small requests at once and knows its local address", async () => {
    await using peer = await startPeer();
    await using session = spawnSession(peer.url);
    const sizes = [
      32 * 2 ** 20,
      0,
      16 * 2 ** 20,
      ...Array.from({ length: 500 }, (_, index) => index * 7),
    ];
    const outcomes = await Promise.all(sizes.map((size) => session.request("echo", size)));
    expect(outcomes.map(({ length }) => length)).toEqual(sizes);
    expect(outcomes[0]?.localAddress).toBe("127.0.0.1");
    expect(peer.refused).toEqual({});
  });

  test("a session on Deno connects again when its peer is back, and until then reports that no request was sent", async () => {
    const first = await startPeer();
    await using session = spawnSession(first.url);
    expect((await session.request("echo", 10)).length).toBe(10);
    await first.stop();
    await until(
      async () => (await session.request("echo", 10)).maybeActed === false,
      "the peer is gone",
    );
    expect((await session.request("echo", 10)).message).toContain(
      `echo to ${first.url}: cannot connect: `,
    );
    await using _again = await startPeer({ port: first.port });
    expect((await session.request("echo", 10)).length).toBe(10);
  });

  test("a closed session on Deno ends its requests under way and makes no more", async () => {
    const arrived = Promise.withResolvers<void>();
    const hang = () => {
      arrived.resolve();
      return new Promise<never>(() => undefined);
    };
    await using peer = await startPeer({ routes: { hang: { bytesMax: 100, run: hang } } });
    await using session = spawnSession(peer.url);
    const underWay = session.request("hang", 10);
    await arrived.promise;
    session.close();
    expect((await underWay).maybeActed).toBe(true);
    expect((await session.request("hang", 10)).maybeActed).toBe(false);
  });

  test.each([
    ["the token is another", { token: "another" }, 401, "echo"],
    ["the receiver is another", { peer: "somebody" }, 421, "echo"],
    ["the route is not there", {}, 404, "nowhere"],
    ["the body is too large", {}, 413, "tiny"],
  ])(
    "a session on Deno reports that the peer did not act when %s, even while a body is being sent",
    async (_, options, status, route) => {
      const run = (body: Uint8Array) => body;
      await using peer = await startPeer({
        routes: { echo: { bytesMax: 2 ** 26, run }, tiny: { bytesMax: 9, run } },
      });
      await using session = spawnSession(peer.url, options);
      for (const bytes of [10, 6 * 2 ** 20]) {
        const { isPeerError, maybeActed, status: told } = await session.request(route, bytes);
        expect([isPeerError, maybeActed, told]).toEqual([true, false, status]);
      }
    },
  );

  test.each(["http", "https"])(
    "a session on Deno reports that the peer did not act when %s gets no answer at all",
    async (scheme) => {
      using silent = await startRaw(null);
      await using session = spawnSession(`${scheme}://127.0.0.1:${silent.port}`, {
        connectTimeoutMs: 300,
      });
      const { maybeActed, message } = await session.request("echo", 10);
      expect(maybeActed).toBe(false);
      expect(message).toContain("cannot connect: no connection within 300 ms");
    },
  );

  test.each([
    "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
    "\0\0\0",
    "SSH-2.0-OpenSSH\r\n",
  ])(
    "a session on Deno reports that no peer acted when another program answers: %j",
    async (greeting) => {
      using server = await startRaw(greeting);
      await using session = spawnSession(`http://127.0.0.1:${server.port}`);
      const { maybeActed, status } = await session.request("echo", 10);
      expect([maybeActed, status]).toEqual([false, null]);
    },
  );

  test("a session on Deno reports that no peer acted when a TLS server has another token", async () => {
    await using peer = await startPeer({ tls: true, token: "a-token-of-another-run" });
    await using session = spawnSession(peer.url);
    const { maybeActed, status } = await session.request("echo", 10);
    expect([maybeActed, status, peer.refused]).toEqual([false, null, {}]);
  });

  test.each(MISBEHAVIOURS)(
    "a session on Deno reports that the peer may have acted when %s",
    async (_, misbehave) => {
      await using server = await startServer(misbehave);
      await using session = spawnSession(server.url);
      const { isPeerError, maybeActed } = await session.request("echo", 100, 1500);
      expect([isPeerError, maybeActed]).toEqual([true, true]);
    },
  );

  test("requests of a session on Deno to a stopped peer fail in time, and later ones reach it again", async () => {
    await using peer = await spawnPeer({ command });
    await using session = spawnSession(peer.url, { peer: "fixture" });
    expect((await session.request("echo", 10)).length).toBe(10);
    peer.child.kill("SIGSTOP");
    const both = [session.request("echo", 10, 300), session.request("echo", 10)];
    expect((await Promise.all(both)).map(({ maybeActed }) => maybeActed)).toEqual([true, true]);
    expect((await session.request("echo", 10, 300)).maybeActed).toBe(false);
    peer.child.kill("SIGCONT");
    expect((await session.request("echo", 10)).length).toBe(10);
    const hanging = session.request("hang", 10);
    expect((await session.request("echo", 10)).length).toBe(10);
    peer.child.kill("SIGKILL");
    expect((await hanging).maybeActed).toBe(true);
    expect((await session.request("echo", 10)).maybeActed).toBe(false);
  });
});

describe.skipIf(deno === null)("a server on Deno", async () => {
  const peer = deno === null ? null : await spawnPeer({ command });
  afterAll(() => peer?.[Symbol.asyncDispose]());
  const url = peer?.url ?? "";
  const headers = (change: object) => ({ ...goodHeaders(), "matrix-to": "fixture", ...change });

  test("a server on Deno tells strangers nothing", async () => {
    for (const path of ["/v1/echo", "/v1/nowhere", "/metrics", "/"]) {
      const { status, body } = await ask(
        url,
        headers({ ":path": path, authorization: "Bearer wrong" }),
      );
      expect([status, body]).toEqual([401, ""]);
    }
    expect((await ask(url, { ":path": "/healthz" }, null)).body).toBe("ok");
  });

  test.each([
    [404, { ":path": "/v1/nowhere" }],
    [404, { ":path": "/v1/echo/more" }],
    [405, { ":method": "PUT" }],
    [413, { "content-length": 2 ** 40 }],
    [415, { "content-type": "text/plain" }],
    [421, { "matrix-to": "somebody" }],
    [426, { "matrix-protocol": "0" }],
  ])(
    "a server on Deno answers %i by the headers alone, before a body comes",
    async (status, change) => {
      const session = http2.connect(url).on("error", () => undefined);
      const request = await proven(session, headers(change));
      const stream = session.request(request).on("error", () => undefined);
      const answered = await new Promise<number | undefined>((resolve) =>
        stream.on("response", (answer) => resolve(answer[":status"])),
      );
      session.destroy();
      expect(answered).toBe(status);
    },
  );

  test("a server on Deno takes no request twice", async () => {
    const twice = headers({});
    expect((await ask(url, twice)).status).toBe(200);
    expect((await ask(url, twice)).status).toBe(409);
  });

  test("a server on Deno answers a member whose unwanted body is being sent", async () => {
    using session = openSession(url, { peer: "somebody" });
    const error = await session
      .request("echo", Buffer.alloc(6 * 2 ** 20), { timeoutMs: 50_000 })
      .catch((error: unknown) => error);
    expect(error).toMatchObject({ maybeActed: false, status: 421 });
  });

  test.each([2, 4])(
    "a server on Deno never takes a body of %i bytes for one of 3",
    async (bytes) => {
      const { status } = await ask(url, headers({ "content-length": 3 }), new Uint8Array(bytes));
      expect(status).not.toBe(200);
    },
  );

  test("a server on Deno keeps no bytes that strangers send", async () => {
    const before = residentBytes(peer?.child.pid ?? 0);
    const body = Buffer.alloc(256 * 2 ** 20);
    const change = { authorization: "Bearer wrong", "content-length": body.length };
    await Promise.all([1, 2].map(() => ask(url, headers(change), body)));
    expect(residentBytes(peer?.child.pid ?? 0) - before).toBeLessThan(128 * 2 ** 20);
  });

  test("a server on Deno serves its members while a thousand connections are silent", async () => {
    const { port, hostname } = new URL(url);
    const idle = await Promise.all(
      Array.from({ length: 1000 }, () => {
        const socket = net
          .connect({ host: hostname, port: Number(port) })
          .on("error", () => undefined);
        return new Promise<net.Socket>((resolve) => socket.on("connect", () => resolve(socket)));
      }),
    );
    using session = openSession(url, { peer: "fixture" });
    expect(await session.request("echo", new Uint8Array(10), { timeoutMs: 50_000 })).toHaveLength(
      10,
    );
    for (const socket of idle) socket.destroy();
  });
});

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}
