// The parts of the peer protocol that run on Deno's HTTP/2, against stand-ins for it in this
// process that speak HTTP/1.1. Deno itself runs them in tests/e2e/http/hyper.test.ts.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { ANSWER_BYTES_MAX } from "../../src/http/connection.ts";
import { type Exchange, UNWANTED_BYTES_MAX } from "../../src/http/exchange.ts";
import { openHyper } from "../../src/http/hyper-connection.ts";
import { serveHyper } from "../../src/http/hyper-server.ts";
import type { Hyper } from "../../src/platform.ts";
import { withEnv } from "../parts/env.ts";
import { until } from "../parts/until.ts";

/**
 * Deno's HTTP as this runtime has it. `closed` counts the clients that were closed; `paths` are the
 * Unix sockets that clients were made for.
 */
function createHyper() {
  const counts = { closed: 0 };
  const paths: string[] = [];
  const hyper: Hyper = {
    serve: ({ hostname, port, fetch }) => {
      const server = Bun.serve({
        ...{ hostname, port, idleTimeout: 0 },
        fetch: (request, bun) => {
          const { address = "", port = 0 } = bun.requestIP(request) ?? {};
          return fetch(request, { hostname: address, port });
        },
      });
      return { port: server.port ?? 0, stop: () => server.stop(true) };
    },
    createClient: (unix) => {
      paths.push(unix);
      return {
        fetch: (url, init) => fetch(url, { ...init, unix } as RequestInit),
        close: () => {
          counts.closed++;
        },
      };
    },
  };
  return { hyper, counts, paths };
}

/** A connection to a server that answers as `answer` does. */
async function connect(answer: (request: Request) => Response | Promise<Response>) {
  const { hyper, counts, paths } = createHyper();
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  const socket = net.connect(server.port ?? 0, "127.0.0.1");
  const connection = await openHyper(hyper, socket);
  const stop = async () => {
    socket.destroy();
    await server.stop(true);
  };
  return { connection, socket, counts, paths, [Symbol.asyncDispose]: stop };
}

/** A connection whose client answers as `answer` does, without a server. */
async function connectTo(answer: () => Promise<Response>) {
  const { hyper } = createHyper();
  const listener = net.createServer(() => undefined);
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const socket = net.connect((listener.address() as AddressInfo).port, "127.0.0.1");
  const createClient = () => ({
    fetch: (url: string) =>
      url.endsWith("/healthz") ? Promise.resolve(new Response("ok")) : answer(),
    close: () => undefined,
  });
  const connection = await openHyper({ ...hyper, createClient }, socket);
  const stop = async () => {
    socket.destroy();
    listener.close();
  };
  return { connection, [Symbol.asyncDispose]: stop };
}

test("a request carries path, headers and body, and its answer the whole body", async () => {
  const seen: unknown[] = [];
  await using opened = await connect(async (request) => {
    const { pathname } = new URL(request.url);
    seen.push([request.method, pathname, request.headers.get("matrix-from"), await request.text()]);
    return new Response("answer");
  });
  const call = opened.connection.request("/v1/echo", { "matrix-from": "me" }, Buffer.from("body"));
  const reply = await call.reply;
  expect(reply).toEqual({ status: 200, body: Buffer.from("answer") });
  expect(seen).toEqual([
    ["GET", "/healthz", null, ""],
    ["POST", "/v1/echo", "me", "body"],
  ]);
  expect(opened.connection.isOpen).toBe(true);
});

test("an answer with another status has no body, and a redirect is not followed", async () => {
  await using opened = await connect(({ url }) =>
    url.endsWith("/v1/moved")
      ? Response.redirect("http://127.0.0.1:1/", 302)
      : new Response("why", { status: 413 }),
  );
  const { connection } = opened;
  expect(await connection.request("/v1/a", {}, new Uint8Array(0)).reply).toEqual({
    status: 413,
    body: new Uint8Array(0),
  });
  expect(await connection.request("/v1/moved", {}, new Uint8Array(0)).reply).toMatchObject({
    status: 302,
  });
});

test.each([
  ["", "the answer has not the length that it announced"],
  ["3", "the answer has not the length that it announced"],
  [`${ANSWER_BYTES_MAX}`, "the answer has not the length that it announced"],
  [`${ANSWER_BYTES_MAX + 1}`, `the answer is larger than ${ANSWER_BYTES_MAX} bytes`],
  ["4", null],
])("an answer of 4 bytes that announces %p ends with %p", async (length, message) => {
  const headers: Record<string, string> = length === "" ? {} : { "content-length": length };
  await using opened = await connectTo(async () => new Response("four", { headers }));
  const { reply } = opened.connection.request("/v1/a", {}, new Uint8Array(0));
  if (message === null) expect(await reply).toEqual({ status: 200, body: Buffer.from("four") });
  else await expect(reply).rejects.toThrow(message);
});

test("a request that is cancelled fails, and harms no other", async () => {
  const waiting = Promise.withResolvers<Response>();
  await using opened = await connect(({ url }) =>
    url.endsWith("/v1/hang") ? waiting.promise : new Response("ok"),
  );
  const { connection } = opened;
  const call = connection.request("/v1/hang", {}, new Uint8Array(0));
  call.cancel();
  await expect(call.reply).rejects.toThrow();
  waiting.resolve(new Response("late"));
});

/** Runs with a folder for temporary files whose path has this length in characters. */
async function withTemporaryFolder(
  length: number,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const outer = await mkdtemp("/tmp/matrix-test-");
  const folder = join(outer, "x".repeat(length - outer.length - 1));
  await mkdir(folder);
  await withEnv({ TMPDIR: folder }, () => use(folder));
  await rm(outer, { recursive: true });
}

test.each([
  [64, true],
  [65, false],
])(
  "a connection uses a folder for temporary files of %d characters: %p, and leaves nothing in it",
  (length, uses) =>
    withTemporaryFolder(length, async (folder) => {
      await using opened = await connect(() => new Response("ok"));
      expect(opened.connection.isOpen).toBe(true);
      expect(opened.paths).toEqual([
        expect.stringMatching(new RegExp(`^${uses ? folder : "/tmp"}/matrix-peer-[^/]+/peer$`)),
      ]);
      expect(await readdir(folder)).toEqual([]);
      expect(existsSync(dirname(opened.paths[0] ?? ""))).toBe(false);
    }),
);

test("a connection ends with its socket, and closes its client", async () => {
  await using opened = await connect(() => new Response("ok"));
  const { connection, socket, counts } = opened;
  expect([connection.isOpen, counts.closed]).toEqual([true, 0]);
  socket.destroy();
  expect(connection.isOpen).toBe(false);
  await until(() => counts.closed === 1, "the client is closed");
});

/** True when a Unix socket takes a connection. */
function isOpen(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

test("the way to a peer carries one connection, so no second one is mixed into it", async () => {
  const echo = net.createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const { port } = echo.address() as AddressInfo;
  const { hyper } = createHyper();
  const seen: unknown[] = [];
  const createClient = (path: string) => ({
    fetch: async () => {
      const first = net.connect(path);
      first.write("carried");
      seen.push(await new Promise((resolve) => first.on("data", (chunk) => resolve(`${chunk}`))));
      seen.push(await isOpen(path));
      return new Response("ok");
    },
    close: () => undefined,
  });
  const socket = net.connect(port, "127.0.0.1");
  await openHyper({ ...hyper, createClient }, socket);
  expect(seen).toEqual(["carried", false]);
  socket.destroy();
  echo.close();
});

test("the way to a peer is closed when the peer hangs up before it was used", async () => {
  const accepted = Promise.withResolvers<net.Socket>();
  const listener = net.createServer((socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { hyper } = createHyper();
  const ways: string[] = [];
  let closed = 0;
  const createClient = (path: string) => ({
    fetch: async (): Promise<Response> => {
      ways.push(path);
      (await accepted.promise).destroy();
      await until(() => closed > 0, "the client is closed");
      ways.push((await isOpen(path)) ? "open" : "closed");
      throw new Error("no answer");
    },
    close: () => {
      closed++;
    },
  });
  const socket = net.connect((listener.address() as AddressInfo).port, "127.0.0.1");
  await expect(openHyper({ ...hyper, createClient }, socket)).rejects.toThrow("no answer");
  expect(ways.slice(1)).toEqual(["closed"]);
  expect(existsSync(dirname(ways[0] ?? ""))).toBe(false);
  listener.close();
});

test("a socket that cannot connect fails, and so does one whose peer hangs up", async () => {
  const { hyper } = createHyper();
  const listener = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  await expect(openHyper(hyper, net.connect(port, "127.0.0.1"))).rejects.toThrow();
  listener.close();
  await expect(openHyper(hyper, net.connect(port, "127.0.0.1"))).rejects.toThrow();
});

test.each([
  ["client error (Connect): no more", true],
  ["http2 error: refused stream before processing any application logic", true],
  ["connection reset", false],
])(
  "a failure by %s tells whether the peer has certainly not acted: %p",
  async (message, refused) => {
    await using opened = await connectTo(async () => {
      throw new TypeError("fetch failed", { cause: new Error(message) });
    });
    const { connection } = opened;
    const { reply } = connection.request("/v1/a", {}, new Uint8Array(0));
    if (refused) expect(await reply).toBe("refused");
    else await expect(reply).rejects.toThrow("fetch failed");
    // A peer that refuses takes no more on this connection.
    expect(connection.isOpen).toBe(!refused);
  },
);

/** A server on the stand-in, whose exchanges go to `handle`. */
async function serve(handle: (exchange: Exchange) => void) {
  const { hyper } = createHyper();
  const server = await serveHyper(hyper, { hostname: "127.0.0.1", port: 0, tls: null, handle });
  const url = `http://127.0.0.1:${server.port}`;
  return { url, [Symbol.asyncDispose]: () => server.stop() };
}

test("an exchange tells method, path and headers, and answers with status, type and length", async () => {
  const seen: unknown[] = [];
  await using served = await serve((exchange) => {
    exchange.admit();
    seen.push([exchange.method, exchange.path, exchange.header("matrix-to"), exchange.header("x")]);
    exchange.answer(207, "text/plain", "größe");
  });
  const response = await fetch(`${served.url}/v1/echo?a=1`, { headers: { "matrix-to": "peer" } });
  expect(seen).toEqual([["GET", "/v1/echo?a=1", "peer", null]]);
  expect([response.status, response.headers.get("content-type")]).toEqual([207, "text/plain"]);
  expect([response.headers.get("content-length"), await response.text()]).toEqual(["7", "größe"]);
});

test("an answer without a type names none, and can have no body", async () => {
  await using served = await serve((exchange) => exchange.answer(404, null, ""));
  const response = await fetch(served.url);
  expect([response.status, response.headers.get("content-type")]).toEqual([404, null]);
  expect(await response.text()).toBe("");
});

test.each([
  [4, 4, "body"],
  [3, 4, null],
  [5, 4, null],
  [0, 0, ""],
])("a body announced with %d bytes that has %d is %p", async (announced, sent, expected) => {
  await using served = await serve(async (exchange) => {
    const body = await exchange.readBody(announced);
    exchange.answer(200, null, body === null ? "none" : body);
  });
  const init = sent === 0 ? {} : { method: "POST", body: "body".slice(0, sent) };
  const response = await fetch(served.url, init);
  expect(await response.text()).toBe(expected === null ? "none" : expected);
});

test("a body that no route wants is thrown away before the answer ends", async () => {
  await using served = await serve((exchange) => exchange.answer(413, null, "no"));
  const body = new Uint8Array(UNWANTED_BYTES_MAX / 4);
  const response = await fetch(served.url, { method: "POST", body });
  expect([response.status, await response.text()]).toEqual([413, "no"]);
});
