// Bodies that are made while they are sent.

import { expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { MatrixError } from "../../../src/error.ts";
import { createConnection } from "../../../src/model/endpoint/connection.ts";
import { until } from "../../parts/until.ts";

const connect = () => createConnection({ label: "http://a", ip: null, connectTimeoutMs: 1000 });

const streamed = (pieces: readonly string[], bytes = pieces.join("").length) => ({
  bytes,
  pieces: async function* () {
    yield* pieces;
  },
});

test("a body in pieces is sent as the server takes it, with its length and without chunks", async () => {
  const { promise: mayRead, resolve: read } = Promise.withResolvers<void>();
  let sent = 0;
  let got = "";
  await using server = await RawHttp.start(async (request, response) => {
    await mayRead;
    let bytes = 0;
    for await (const chunk of request) bytes += chunk.length;
    got = `${bytes} ${request.headers["content-length"]} ${request.headers["transfer-encoding"]}`;
    response.end("ok");
  });
  const piece = "x".repeat(2 ** 20);
  const body = {
    bytes: 32 * 2 ** 20,
    pieces: async function* () {
      for (; sent < 32; sent++) yield piece;
    },
  };
  const { signal } = new AbortController();
  const asking = connect()(server.url, { method: "POST", headers: {}, body, signal });
  await until(() => sent > 0, "the first piece is sent");
  await Bun.sleep(50);
  expect(sent).toBeLessThan(32);
  read();
  expect(await (await asking).text()).toBe("ok");
  expect(got).toBe(`${32 * 2 ** 20} ${32 * 2 ** 20} undefined`);
});

test("a piece that cannot be made fails the request with its own error", async () => {
  const failing = {
    bytes: 100,
    pieces: async function* () {
      yield "x";
      throw new MatrixError("prompt_failed", "it changed");
    },
  };
  await using server = await RawHttp.start(async (request, response) => {
    for await (const _ of request);
    response.end("ok");
  });
  const { signal } = new AbortController();
  const asking = connect()(server.url, { method: "POST", headers: {}, body: failing, signal });
  await expect(asking).rejects.toMatchObject({ code: "prompt_failed", message: "it changed" });
});

test("a server that answers before the whole body came, or goes, ends the sending", async () => {
  let ended = 0;
  const body = () => ({
    bytes: 2 ** 34,
    pieces: async function* () {
      try {
        for (;;) yield "x".repeat(2 ** 16);
      } finally {
        ended++;
      }
    },
  });
  await using server = await RawHttp.start((request, response) => {
    if (request.url === "/go") return void request.socket.destroy();
    response.writeHead(413, { connection: "close" });
    response.end("too large", () => request.socket.destroy());
  });
  const { signal } = new AbortController();
  const send = connect();
  const going = send(new URL("/go", server.url), {
    method: "POST",
    headers: {},
    body: body(),
    signal,
  });
  await expect(going).rejects.toMatchObject({ code: "model_lost" });
  const early = await send(server.url, { method: "POST", headers: {}, body: body(), signal });
  expect(early.status).toBe(413);
  await until(() => ended >= 2, "no piece is made any more");
  const abort = new AbortController();
  await using slow = await RawHttp.start(() => undefined);
  const given = send(slow.url, { method: "POST", headers: {}, body: body(), signal: abort.signal });
  await Bun.sleep(20);
  abort.abort(new Error("stop"));
  await expect(given).rejects.toThrow("stop");
  await until(() => ended >= 3, "no piece is made any more");
});

test("a body in pieces is made anew when a kept connection turns out to be closed", async () => {
  let requests = 0;
  await using server = await RawHttp.start(async (request, response) => {
    const nth = ++requests;
    if (nth === 2) return void request.socket.destroy();
    for await (const _ of request);
    response.end("ok");
  });
  const send = connect();
  const { signal } = new AbortController();
  const post = () => ({ method: "POST" as const, headers: {}, body: streamed(["a", "b"]), signal });
  expect(await (await send(server.url, post())).text()).toBe("ok");
  expect(await (await send(server.url, post())).text()).toBe("ok");
  expect(requests).toBe(3);
});

/** A server that a test answers for, request by request. */
class RawHttp implements AsyncDisposable {
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
  }

  static async start(answer: Parameters<typeof createServer>[1]): Promise<RawHttp> {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new RawHttp(server);
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
